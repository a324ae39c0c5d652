"""The ledger's schema, brought up to date whenever a ledger is opened.

Each file of `versions/` is a step, made by Alembic in `env`; the way back is the copy from before.
"""

import sqlite3
from contextlib import closing

import sqlalchemy as sa

from models.errors import CampaignError

NEWEST = "0006"  # the last of `versions/`
_ADVISORY_LOCK = 5_207_391  # any number, as long as all jobs agree on it


def bring_up_to_date(engine: sa.Engine) -> None:
    """Make the tables of a new ledger, or change an older program's; once, whoever else tries.

    An older SQLite ledger is copied first, to a file beside it that ends in `.before-VERSION`.
    All steps are one transaction: a job that dies in between leaves the ledger as it was.

    Raises:
        CampaignError: the ledger is of a newer program.
    """
    with engine.connect() as connection:
        if _is_newest(connection):
            return
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        if not _is_newest(connection):  # another job may have been faster
            _copy(connection)
            _upgrade(connection)


def _is_newest(connection: sa.Connection) -> bool:
    """Whether there is nothing to be done; asked in SQL, since importing Alembic takes a while."""
    version = None  # of a new ledger, and of those from before there were versions
    if sa.inspect(connection).has_table("alembic_version"):
        version = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    if version is not None and version > NEWEST:
        raise CampaignError(
            f"the ledger {connection.engine.url} is of version {version}, this program knows "
            f"versions up to {NEWEST}. Use the newer program, or set CASTING_LEDGER to another "
            f"ledger; beside an SQLite ledger lies what it was before, *.before-{version}"
        )
    return version == NEWEST


def _copy(connection: sa.Connection) -> None:
    """Keep an SQLite ledger as it is, unless it is new."""
    if connection.dialect.name != "sqlite" or not sa.inspect(connection).has_table("campaigns"):
        return
    path = connection.scalar(sa.text("SELECT file FROM pragma_database_list WHERE name = 'main'"))
    copy = f"{path}.before-{NEWEST}"
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise sa.exc.OperationalError(f"copying the ledger to {copy}", None, error) from error


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command  # a tenth of a second that few calls need
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "jobs.adapters:migrations")
    command.upgrade(config, "head")
