"""The environment variables that jobs read; nothing else in `jobs` reads any."""

import os
from pathlib import Path

_OF_MLFLOW = {
    "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # where the JSON goes
    # MLflow would try for minutes, and silently; `jobs.adapters.retry` tries for a stated time
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def ledger_url() -> str:
    """Where the ledger is."""
    return os.environ.get("CASTING_LEDGER", "sqlite:///ledger.db")


def embeddings_folder() -> Path:
    """Where embeddings are kept: beside a ledger that is a file, else here."""
    url, here = ledger_url(), Path("embeddings")
    file = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""
    default = Path(file).parent / here if file and ":memory:" not in file else here
    return Path(os.environ.get("CASTING_EMBEDDINGS", default)).resolve()


def api_key() -> str | None:
    """What the scoring service wants to see, if it wants anything."""
    return os.environ.get("CASTING_API_KEY")


def handed_run() -> str | None:
    """The run that `mlflow run` made for this process, if it did."""
    return os.environ.get("MLFLOW_RUN_ID")


def of_children() -> dict[str, str]:
    """The variables that processes of a job are given."""
    return dict(os.environ)


def prepare_mlflow() -> None:
    """Set what MLflow reads and the user has not set."""
    for name, value in _OF_MLFLOW.items():
        os.environ.setdefault(name, value)
