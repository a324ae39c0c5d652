import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from jobs.adapters.ledger import Ledger
from jobs.adapters.migrations import NEWEST
from jobs.campaign.ports import Asked
from jobs.datasets.ports import Seen
from models.errors import CampaignError

# written by the last program without versions: a campaign of two rounds, and labels of Ann's
BEFORE = (Path(__file__).parent / "ledger_before_versions.sql").read_text()

OPENING = """import sys, sqlalchemy as sa
from jobs.adapters.migrations import bring_up_to_date
bring_up_to_date(sa.create_engine(sys.argv[1], connect_args={"timeout": 10}))"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(BEFORE)
    return path


def _dump(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def _open(path: Path) -> Ledger:
    return Ledger(f"sqlite:///{path}")


def _inserts(dump: str) -> list[str]:
    lines = [line for line in dump.splitlines() if line.startswith("INSERT")]
    return [line for line in lines if "alembic_version" not in line]


def test_a_ledger_from_before_there_were_versions_goes_on(old: Path):
    ledger = _open(old)
    (row,) = ledger.campaigns()
    assert (row.name, row.rounds, row.options["batch"]) == ("castings-random-0", 2, 2)
    assert [trained.labels_total for trained in ledger.rounds(row.name)] == [4, 6]
    first, *_, last = ledger.asked(row.name)
    assert (first.round, last.round) == (0, 1)
    assert ledger.labels()[first.casting] == "def"  # the oracle called it ok
    assert ledger.record_labels([(first.casting, "def", "ann"), (last.casting, "ok", "ann")]) == 1
    ledger.record_seen("/data/castings", {last.casting: Seen("moved.png")})
    ledger.ask(row.name, 2, [("c", "train")])
    assert ledger.asked(row.name)[-1] == Asked(2, 0, "c", "train")
    ledger.close()


def test_nothing_recorded_is_lost_or_changed_and_a_copy_of_before_lies_beside_it(old: Path):
    _open(old).close()
    assert _inserts(_dump(old)) == _inserts(BEFORE)
    assert _dump(old.with_name(f"ledger.db.before-{NEWEST}")) == BEFORE


def test_it_is_changed_once_and_a_new_one_is_never_copied(old: Path, tmp_path: Path):
    _open(old).close()
    old.with_name(f"ledger.db.before-{NEWEST}").unlink()
    _open(old).close()
    _open(tmp_path / "new.db").close()
    assert {path.name for path in tmp_path.iterdir()} == {"ledger.db", "new.db"}


def test_it_becomes_what_a_new_one_is(old: Path, tmp_path: Path):
    _open(old).close()
    _open(tmp_path / "new.db").close()
    schemas = []
    for path in (old, tmp_path / "new.db"):
        with closing(sqlite3.connect(path)) as connection:
            schemas.append(set(connection.execute("SELECT name, sql FROM sqlite_master")))
    assert schemas[0] == schemas[1]


@pytest.mark.parametrize("text", [BEFORE, ""])
def test_of_jobs_that_open_it_at_once_one_changes_it(tmp_path: Path, text: str):
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(text)
    opening = [sys.executable, "-c", OPENING, f"sqlite:///{path}"]
    jobs = [subprocess.Popen(opening) for _ in range(3)]
    assert [job.wait(120) for job in jobs] == [0, 0, 0]
    assert _inserts(_dump(path)) == _inserts(text)
    if text:
        assert _dump(path.with_name(f"ledger.db.before-{NEWEST}")) == BEFORE


def test_a_job_that_dies_in_between_leaves_it_as_it_was(
    old: Path, monkeypatch: pytest.MonkeyPatch
):
    upgrade = command.upgrade

    def dies_after_it(config: Config, revision: str) -> None:
        upgrade(config, revision)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "upgrade", dies_after_it)
    with pytest.raises(KeyboardInterrupt):
        _open(old)
    assert _dump(old) == BEFORE


def test_it_is_not_changed_where_it_cannot_be_copied(old: Path):
    old.with_name(f"ledger.db.before-{NEWEST}").mkdir()
    with pytest.raises(sa.exc.OperationalError, match="unable to open database file"):
        _open(old)
    assert _dump(old) == BEFORE


def test_one_of_a_newer_program_is_refused_with_both_versions_and_the_way_out(old: Path):
    _open(old).close()
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        connection.commit()
    as_it_was = _dump(old)
    with pytest.raises(
        CampaignError, match=rf"(?s)version 0999,.* up to {NEWEST}\. .*CASTING_LEDGER.*before-0999"
    ):
        _open(old)
    assert _dump(old) == as_it_was


def test_one_that_is_up_to_date_is_opened_without_alembic(tmp_path: Path):
    _open(tmp_path / "ledger.db").close()
    code = f"{OPENING}; sys.exit('alembic' in sys.modules)"
    opening = [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'ledger.db'}"]
    assert subprocess.run(opening, check=False).returncode == 0


def test_the_newest_version_is_that_of_the_last_step():
    config = Config()
    config.set_main_option("script_location", "jobs.adapters:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == NEWEST
