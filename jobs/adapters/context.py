"""The context of a real job: the ledger, MLflow, and a scoring service when one is needed."""

import functools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click
import sqlalchemy as sa

from jobs import progress
from jobs.adapters import environment, retry
from jobs.adapters.ledger import Ledger
from jobs.adapters.retry import retrying
from jobs.campaign.ports import Context
from jobs.options import RunOptions
from models.errors import CampaignError, first_line

if TYPE_CHECKING:
    from jobs.adapters.mlflow_tracking import MlflowTracker
    from jobs.adapters.scoring_client import ScoringClient
    from models.embeddings import EmbeddingStore


@contextmanager
def real_context() -> Iterator[Context]:
    """The outside world as the environment variables describe it.

    MLflow and the scoring client are imported when they are first asked for.
    """
    environment.prepare_mlflow()
    with ExitStack() as stack:
        ledger = retrying(_ledger, "the ledger", retry.why_away, _say)
        stack.callback(ledger.close)

        embeddings = retrying(_embeddings, "the embeddings", lambda _: None, _say)

        @functools.cache
        def scoring_service(options: RunOptions) -> "ScoringClient":
            from jobs.adapters.scoring_client import ScoringClient
            from jobs.processes.local_service import local_service

            url, revive, log = options.service_url, lambda: None, None
            if url == "auto":
                _say("starting a scoring service")
                kept = {"CASTING_EMBEDDINGS": str(environment.embeddings_folder())}
                of_children = environment.of_children() | kept
                service = stack.enter_context(local_service(options.model_name, of_children))
                url, revive, log = service.url, service.revive, service.log
            client = ScoringClient(url, environment.api_key(), revive, _say, log)
            stack.callback(client.close)
            return client

        tracker = retrying(_tracker, "MLflow", _why_mlflow_is_away, _say)
        yield Context(ledger, tracker, scoring_service, embeddings, progress.bar, _say)


def _tracker() -> "MlflowTracker":
    from jobs.adapters.mlflow_tracking import open_tracker

    return open_tracker(environment.handed_run())


def _why_mlflow_is_away(error: BaseException) -> str | None:
    from jobs.adapters.mlflow_tracking import why_away

    return why_away(error)


def _embeddings() -> "EmbeddingStore":
    from models.embeddings import EmbeddingStore

    return EmbeddingStore(environment.embeddings_folder())


def _ledger() -> Ledger:
    try:
        return Ledger(environment.ledger_url())
    except (ImportError, sa.exc.ArgumentError) as error:
        raise CampaignError(
            f"CASTING_LEDGER: no driver for such a URL ({first_line(error)}); give "
            f"sqlite:///ledger.db, or postgresql+psycopg://… with the extra `deploy` installed"
        ) from error


def _say(line: str) -> None:
    click.echo(line, err=True)
