"""The context as the environment variables describe it; read here and nowhere below."""

import functools
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click
import mlflow
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from jobs import progress
from jobs.adapters.ledger import Ledger
from jobs.adapters.mlflow_tracking import MlflowTracker
from jobs.adapters.retry import retrying
from jobs.adapters.scoring_client import ScoringClient
from jobs.campaign.ports import Context
from jobs.options import RunOptions
from jobs.processes.local_service import local_service
from models.errors import CampaignError, VersionError, first_line

_DEFAULTS = {
    "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # where the JSON goes
    # MLflow would try for minutes, and silently; `jobs.adapters.retry` tries for a stated time
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_LASTING = (
    "unable to open database file",
    "readonly database",
    "no such column",
    "no such table",
    "does not exist",  # a PostgreSQL database, role or table
    "authentication failed",
    "out-of-date database schema",
)
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


def ledger_url() -> str:
    """Where the ledger is."""
    return os.environ.get("CASTING_LEDGER", "sqlite:///ledger.db")


@contextmanager
def real_context() -> Iterator[Context]:
    """The ledger, the tracking server, and a service of our own when one is needed."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    # it logs the traceback of every failed attempt; the reason is told once, by `jobs.adapters.retry`
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        ledger = retrying(_ledger, "the ledger", why_away, _say)
        stack.callback(ledger.close)

        @functools.cache
        def scorer(options: RunOptions) -> ScoringClient:
            key = os.environ.get("CASTING_API_KEY")
            if options.service_url == "auto":
                _say("starting a scoring service")
                service = stack.enter_context(local_service(options.model_name))
                client = ScoringClient(service.url, key, service.revive, _say)
            else:
                client = ScoringClient(options.service_url, key, say=_say)
            stack.callback(client.close)
            return client

        def tracker() -> MlflowTracker:
            return MlflowTracker(mlflow.MlflowClient(), os.environ.get("MLFLOW_RUN_ID"))

        mlflow_ = retrying(tracker, "MLflow", why_away, _say)
        yield Context(ledger, mlflow_, scorer, progress.bar, _say)


def _ledger() -> Ledger:
    """The ledger of this environment.

    Raises:
        CampaignError: no installed driver can open such a URL.
    """
    try:
        return Ledger(ledger_url())
    except (ImportError, ArgumentError) as error:
        raise CampaignError(
            f"CASTING_LEDGER: no driver for such a URL ({first_line(error)}); give "
            f"sqlite:///ledger.db, or postgresql+psycopg://… with the extra `deploy` installed"
        ) from error


def why_away(error: Exception) -> str | None:
    """Why ledger or tracking server may be back soon: busy, full, gone; None for real errors."""
    match error:
        case MlflowException():
            status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
            if status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR:
                return _passing(first_line(error))
        case DBAPIError() if isinstance(error, OperationalError | InterfaceError):
            return _passing(first_line(error.orig or error))
        case VersionError() if isinstance(error.__cause__, OSError):  # its files, not itself
            return why_away(error.__cause__) and first_line(error)
        case FileExistsError() | NotADirectoryError() | IsADirectoryError() | PermissionError():
            return None  # nobody but the user can mend it
        case OSError():  # a full disk, a connection that broke
            return first_line(error)
    return None


def _passing(reason: str) -> str | None:
    """The reason, unless it is one that stays until somebody mends it."""
    return None if any(words in reason for words in _LASTING) else reason


def _say(line: str) -> None:
    click.echo(line, err=True)
