import json
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from jobs.commands import worker
from jobs.options import RunOptions
from models.errors import DataError
from tests.jobs.fakes import FakeContext


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, fake: FakeContext, tmp_path: Path) -> list[str]:
    """Names of campaigns in the order run; one called bad cannot be."""
    names: list[str] = []

    def run(_: object, options: RunOptions) -> None:
        names.append(options.name)
        if options.name == "bad":
            raise DataError("no castings there")

    monkeypatch.setattr(worker, "real_context", lambda: nullcontext(fake.open()))
    monkeypatch.setattr(worker, "run", run)
    monkeypatch.setenv("CASTING_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    return names


def campaigns(*names: str) -> str:
    return json.dumps([asdict(replace(RunOptions(), campaign=name)) for name in names])


def test_campaigns_are_run_in_turn_and_each_is_told_of(ran: list[str], tmp_path: Path):
    worker.main(campaigns("a", "b", "c"), tmp_path / "done")
    assert ran == ["a", "b", "c"]
    assert (tmp_path / "done").read_text().splitlines() == ["a", "b", "c"]


def test_one_that_fails_ends_it_with_the_error_for_people(ran: list[str], tmp_path: Path):
    with pytest.raises(SystemExit, match="Error: no castings there"):
        worker.main(campaigns("a", "bad", "c"), tmp_path / "done")
    assert ran == ["a", "bad"]
    assert (tmp_path / "done").read_text().splitlines() == ["a"]
