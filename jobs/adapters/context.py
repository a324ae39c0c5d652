"""The context of a real job: the ledger, MLflow, and a scoring service when one is needed."""

import functools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click
from sqlalchemy.exc import ArgumentError

from jobs import progress
from jobs.adapters import environment, mlflow_tracking, retry
from jobs.adapters.ledger import Ledger
from jobs.adapters.retry import retrying
from jobs.adapters.scoring_client import ScoringClient
from jobs.campaign.ports import Context
from jobs.options import RunOptions
from jobs.processes.local_service import local_service
from models.errors import CampaignError, first_line


@contextmanager
def real_context() -> Iterator[Context]:
    """The outside world as the environment variables describe it."""
    environment.prepare_mlflow()
    with ExitStack() as stack:
        ledger = retrying(_ledger, "the ledger", retry.why_away, _say)
        stack.callback(ledger.close)

        @functools.cache
        def scoring_service(options: RunOptions) -> ScoringClient:
            key = environment.api_key()
            if options.service_url == "auto":
                _say("starting a scoring service")
                service = stack.enter_context(local_service(options.model_name))
                client = ScoringClient(service.url, key, service.revive, _say)
            else:
                client = ScoringClient(options.service_url, key, say=_say)
            stack.callback(client.close)
            return client

        def tracker() -> mlflow_tracking.MlflowTracker:
            return mlflow_tracking.open_tracker(environment.handed_run())

        mlflow = retrying(tracker, "MLflow", mlflow_tracking.why_away, _say)
        yield Context(ledger, mlflow, scoring_service, progress.bar, _say)


def _ledger() -> Ledger:
    """The ledger of this environment.

    Raises:
        CampaignError: no installed driver can open such a URL.
    """
    try:
        return Ledger(environment.ledger_url())
    except (ImportError, ArgumentError) as error:
        raise CampaignError(
            f"CASTING_LEDGER: no driver for such a URL ({first_line(error)}); give "
            f"sqlite:///ledger.db, or postgresql+psycopg://… with the extra `deploy` installed"
        ) from error


def _say(line: str) -> None:
    click.echo(line, err=True)
