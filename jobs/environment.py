"""The world as the environment variables describe it; read here and nowhere below."""

import functools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click
import mlflow

from jobs import progress
from jobs.campaign import World
from jobs.ledger import Ledger
from jobs.options import RunOptions
from jobs.scoring_client import ScoringClient
from jobs.service_process import own_service
from jobs.tracking import MlflowTracker

_DEFAULTS = {
    "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # a tracking server that is away must not block a call for minutes, as MLflow would have it
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def ledger_url() -> str:
    """Where the ledger is."""
    return os.environ.get("CASTING_LEDGER", "sqlite:///ledger.db")


@contextmanager
def real_world() -> Iterator[World]:
    """The ledger, the tracking server, and a service of our own when one is needed."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    with ExitStack() as stack:
        ledger = Ledger(ledger_url())
        stack.callback(ledger.close)

        @functools.cache
        def scorer(options: RunOptions) -> ScoringClient:
            url = options.service_url
            if url == "auto":
                _say("starting a scoring service")
                url = stack.enter_context(own_service(options.model_name))
            client = ScoringClient(url, os.environ.get("CASTING_API_KEY"))
            stack.callback(client.close)
            return client

        tracker = MlflowTracker(mlflow.MlflowClient(), os.environ.get("MLFLOW_RUN_ID"))
        yield World(ledger, tracker, scorer, progress.bar, _say)


def _say(line: str) -> None:
    click.echo(line, err=True)
