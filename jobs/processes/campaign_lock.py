"""One job at a time for a campaign, by a lock that dies with its holder."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from models.errors import CampaignError


@contextmanager
def hold_campaign(ledger_url: str, campaign: str) -> Iterator[None]:
    """Hold the campaign until the block ends or the process dies, SIGKILL included.

    The lock is a file beside an SQLite ledger; for other databases it lies in the folder of
    temporary files, and guards against other jobs of this machine only.

    Raises:
        CampaignError: another job holds it; its process id is told.
    """
    path = _path(ledger_url, campaign)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise CampaignError(
                f"campaign {campaign} is being worked on by process {file.read() or 'unknown'}; "
                f"wait for it, or stop it first"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _path(ledger_url: str, campaign: str) -> Path:
    url = sa.make_url(ledger_url)
    name = quote(campaign, safe="")
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(f"{url.database}.{name}.lock")
    return Path(tempfile.gettempdir()) / f"casting-{name}.lock"
