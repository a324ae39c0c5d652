import re
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from jobs.adapters import ledger_tables
from jobs.adapters.ledger import Ledger


def _schema(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE name NOT LIKE 'alembic%'")
        return {re.sub(r"\s+", " ", sql) for (sql,) in rows if sql is not None}


def test_they_are_what_the_migrations_make(tmp_path: Path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'tables.db'}")
    ledger_tables.META.create_all(engine)
    engine.dispose()
    Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").close()
    assert _schema(tmp_path / "ledger.db") == _schema(tmp_path / "tables.db")


def test_each_is_described(tmp_path: Path):
    described = re.findall(r"^(\w+)  ", str(ledger_tables.__doc__), re.MULTILINE)
    assert described == list(ledger_tables.META.tables)
