"""One job at a time for a campaign, by a lock that dies with its holder."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from filelock import FileLock, Timeout

from models.errors import CampaignError

_WAIT = 0.1  # seconds; who has just let go of it removes its file


@contextmanager
def hold_campaign(ledger_url: str, campaign: str) -> Iterator[None]:
    """Hold the campaign until the block ends or the process dies, SIGKILL included.

    The lock is a file beside an SQLite ledger; for other databases it lies in the folder of
    temporary files, and guards against other jobs of this machine only. It is gone after the
    block; what a killed process leaves is the next one's.

    Raises:
        CampaignError: another job holds it; its process id is told.
        OSError: no file can be made there.
    """
    path = _path(ledger_url, campaign)
    path.parent.stat()  # a missing folder is an error, filelock would make it
    lock = FileLock(path, _WAIT, on_acquired=_sign)
    try:
        lock.acquire()
    except Timeout as error:
        holder = path.read_text() if path.exists() else ""
        raise CampaignError(
            f"campaign {campaign} is being worked on by process {holder or 'unknown'}; "
            f"wait for it, or stop it first"
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held, or it might be another's
        lock.release()


def _sign(descriptor: int) -> None:
    os.truncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())


def _path(ledger_url: str, campaign: str) -> Path:
    url = sa.make_url(ledger_url)
    name = quote(campaign, safe="")
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(f"{url.database}.{name}.lock")
    return Path(tempfile.gettempdir()) / f"casting-{name}.lock"
