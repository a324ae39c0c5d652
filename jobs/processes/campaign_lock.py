"""One job at a time for a campaign, by a lock that dies with its holder."""

import hashlib
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from filelock import FileLock, Timeout

from models.errors import CampaignError

_LONGEST_NAME = 63  # characters of a name in PostgreSQL
_HOLDER = sa.text(
    "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND classid = CAST(:high AS bigint)::oid "
    "AND objid = CAST(:low AS bigint)::oid"
)
_WAIT = 0.1  # seconds; who has just let go of it removes its file


@contextmanager
def hold_campaign(ledger_url: str, campaign: str) -> Iterator[None]:
    """Hold the campaign until the block ends or the process dies, SIGKILL included.

    The lock is a file beside an SQLite ledger, and in the folder of temporary files for other
    databases. It is gone after the block; what a killed process leaves is the next one's. Where
    the ledger is in PostgreSQL an advisory lock there keeps jobs of other machines away too; it
    goes with the connection.

    Raises:
        CampaignError: another job holds it; its process id, or its machine, is told.
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
        with _hold_across_machines(ledger_url, campaign):
            yield
    finally:
        path.unlink(missing_ok=True)  # while it is held, or it might be another's
        lock.release()


@contextmanager
def _hold_across_machines(ledger_url: str, campaign: str) -> Iterator[None]:
    """Hold an advisory lock for as long as a connection of its own is open."""
    url = sa.make_url(ledger_url)
    if url.get_backend_name() != "postgresql":
        yield
        return
    me = f"castings {os.getpid()} on {socket.gethostname()}"[:_LONGEST_NAME]
    arguments = {"application_name": me, "keepalives_idle": 60}
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=arguments)
    key = int.from_bytes(hashlib.sha256(campaign.encode()).digest()[:8], "big", signed=True)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key))):
            holder = connection.scalar(_HOLDER, {"high": (key >> 32) % 2**32, "low": key % 2**32})
            raise CampaignError(
                f"campaign {campaign} is being worked on by {holder or 'another job'}; wait for "
                f"it, or stop it first"
            )
        yield


def _sign(descriptor: int) -> None:
    os.truncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())


def _path(ledger_url: str, campaign: str) -> Path:
    url = sa.make_url(ledger_url)
    name = quote(campaign, safe="")
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(f"{url.database}.{name}.lock")
    return Path(tempfile.gettempdir()) / f"casting-{name}.lock"
