"""The environment variables that jobs read; nothing else in `jobs` reads any."""

import os
import re
import tempfile
import unicodedata
from pathlib import Path

import sqlalchemy as sa

from models.errors import CampaignError, ServiceError

_LAST_PORT = 65535
_NO_PORT = (
    "CASTING_LEDGER: what stands between host and / is no port from 1 to 65535; in a password "
    "write @ as %40, : as %3A and / as %2F"
)
_OF_MKDTEMP = re.compile(r"tmp[a-z0-9_]{8}")

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
    """Where the ledger is; by default in the working directory.

    `mlflow run` of a git address works in a clone of its own, which nobody finds again: there the
    default is beside the tracking store.

    Raises:
        CampaignError: CASTING_LEDGER is no address of a database; or it is not set, in a clone of
            `mlflow run`, and the tracking store is no SQLite file.
    """
    url = os.environ.get("CASTING_LEDGER", "").strip()
    if not url:
        return f"sqlite:///{_default_ledger()}"
    try:
        port = sa.make_url(url).port
    except ValueError as error:  # what it quotes may be a piece of the password
        raise CampaignError(_NO_PORT) from error
    except sa.exc.ArgumentError as error:
        raise CampaignError(
            "CASTING_LEDGER: no address of a database; give sqlite:///ledger.db, or "
            "postgresql+psycopg://USER:PASSWORD@HOST/NAME"
        ) from error
    if port is not None and not 0 < port <= _LAST_PORT:
        raise CampaignError(_NO_PORT)
    return url


def _default_ledger() -> str:
    here = Path("ledger.db")
    if not in_clone() or here.exists():
        return str(here)
    tracking = os.environ.get("MLFLOW_TRACKING_URI", "")
    store = Path(tracking.removeprefix("sqlite:///"))
    if tracking.startswith("sqlite:///") and store.is_absolute():
        return str(store.with_name("ledger.db"))
    raise CampaignError(
        f"`mlflow run` works in a temporary clone, {Path.cwd()}, where a ledger would be lost. "
        f"Set CASTING_LEDGER to where it shall be, sqlite:////FOLDER/ledger.db say"
    )


def in_clone() -> bool:
    """Whether `mlflow run` works in a clone that it has made for this one call.

    It makes them with `tempfile.mkdtemp`, and goes on in the folder of the project in there.
    """
    if handed_run() is None:
        return False
    temporary, here = Path(tempfile.gettempdir()).resolve(), Path.cwd().resolve()
    below = here.relative_to(temporary).parts if here.is_relative_to(temporary) else ()
    return bool(below) and _OF_MKDTEMP.fullmatch(below[0]) is not None


def embeddings_folder() -> Path:
    """Where embeddings are kept: beside a ledger that is a file, else here."""
    url, here = ledger_url(), Path("embeddings")
    file = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""
    default = Path(file).parent / here if file and ":memory:" not in file else here
    return Path(os.environ.get("CASTING_EMBEDDINGS", default)).resolve()


def api_key() -> str | None:
    """What the scoring service wants to see, if it wants anything; it strips its key alike.

    Raises:
        ServiceError: no HTTP header can carry it.
    """
    key = os.environ.get("CASTING_API_KEY", "").strip()
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in key):
        raise ServiceError(
            "CASTING_API_KEY: text without line breaks and other control characters is needed"
        )
    return key or None


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
