"""A campaign that is killed, or fails, at any call to the outside world ends as if undisturbed.

Every call to ledger, tracker and scorer is struck in turn. A campaign that is killed dies before
the call, and no later one gets through; one whose call fails loses the answer of a call that took
effect, and the outage is over at the next.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from jobs.adapters import ledger_tables
from jobs.campaign import contact_sheet
from jobs.campaign.ports import Context
from jobs.campaign.run import run
from jobs.options import RunOptions
from models.errors import OutageError
from models.evaluation import figures
from tests.jobs.fakes import FakeContext, write_castings
from tests.jobs.tiny import see_little


class Killed(BaseException):
    """SIGKILL, as far as a process can do that to itself."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither training nor drawing nor the disk is what is tried here."""
    see_little(monkeypatch)
    monkeypatch.setattr(figures, "png", lambda _: b"png")
    monkeypatch.setattr(contact_sheet, "draw_sheet", lambda *_: None)
    for name in ("confusion_matrix", "reliability_diagram", "learning_curves"):
        monkeypatch.setattr(figures, name, lambda *_: None)


@dataclass
class Fate:
    """Counts calls, from whichever thread, and strikes at one of them."""

    at: int | None = None
    deadly: bool = False
    calls: int = 0
    counting: threading.Lock = field(default_factory=threading.Lock)

    def before(self, call: str) -> int:
        with self.counting:
            self.calls += 1
            number = self.calls
        if self.deadly and self.at is not None and number >= self.at:
            raise Killed(f"before call {number}, {call}")
        return number

    def after(self, number: int, call: str) -> None:
        if not self.deadly and number == self.at:
            raise OutageError(f"after call {number}, {call}")


@dataclass
class Fragile:
    """An adapter whose calls pass by fate."""

    adapter: object
    fate: Fate

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.adapter, name)

        def call(*args: object, **kwargs: object) -> object:
            number = self.fate.before(name)
            answer = method(*args, **kwargs)
            self.fate.after(number, name)
            return answer

        return call


def fragile(context: Context, fate: Fate) -> Context:
    """The same context, struck by fate."""
    return replace(
        context,
        ledger=Fragile(context.ledger, fate),  # type: ignore[arg-type]
        tracker=Fragile(context.tracker, fate),  # type: ignore[arg-type]
        scoring_service=lambda options: Fragile(context.scoring_service(options), fate),  # type: ignore[arg-type,return-value]
    )


def everything(fake: FakeContext) -> dict[str, object]:
    """All that a campaign leaves behind, but for times."""
    rows = {}
    with sa.create_engine(f"sqlite:///{fake.folder / 'ledger.db'}").connect() as connection:
        for table in ledger_tables.META.sorted_tables:
            columns = [c for c in table.columns if c.name not in {"at", "metrics"}]
            rows[table.name] = connection.execute(sa.select(*columns)).all()
    runs = {
        run_id: (
            {k: v for k, v in run.tags.items() if k != "begun"},
            run.status,
            sorted(point for point in run.points if not point[0].startswith("seconds/")),
            sorted((name, step) for name, step, _ in run.points),
            sorted(run.files),
            run.files.get("acquired.csv"),
        )
        for run_id, run in fake.tracker.runs.items()
    }
    versions = [(v.number, v.run_id, dict(v.tags)) for v, _ in fake.tracker.versions]
    return {"rows": rows, "runs": runs, "versions": versions, "alias": fake.tracker.alias}


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> RunOptions:
    data = write_castings(tmp_path_factory.mktemp("data") / "castings", {"ok": 12, "def": 12})
    return RunOptions(
        data=str(data), rounds=2, batch=4, initial=6, audit_share=0.25, passes=4, image_size=32
    )


def test_a_campaign_killed_at_any_moment_and_started_again_ends_as_if_undisturbed(
    options: RunOptions, tmp_path: Path
):
    _strike_everywhere(options, tmp_path, deadly=True)


def test_a_campaign_whose_call_fails_at_any_moment_ends_as_if_undisturbed(
    options: RunOptions, tmp_path: Path
):
    _strike_everywhere(options, tmp_path, deadly=False)


def _strike_everywhere(options: RunOptions, tmp_path: Path, *, deadly: bool) -> None:
    fate = Fate()
    undisturbed = _world(tmp_path / "undisturbed")
    result = run(fragile(undisturbed.open(), fate), options)
    expected = everything(undisturbed)
    assert fate.calls > 50
    for call in range(1, fate.calls + 1):
        disturbed = _world(tmp_path / str(call))
        with pytest.raises((Killed, OutageError)) as struck:
            run(fragile(disturbed.open(), Fate(call, deadly)), options)
        again = run(disturbed.open(), options)
        assert _settled(again) == _settled(result), struck.value
        assert everything(disturbed) == expected, struck.value
        disturbed.ledger.close()
    undisturbed.ledger.close()


def _settled(result: dict[str, Any]) -> dict[str, Any]:
    for row in result["rounds"]:
        row["metrics"] = {k: v for k, v in row["metrics"].items() if not k.startswith("seconds/")}
    return result


def _world(folder: Path) -> FakeContext:
    folder.mkdir()
    fake = FakeContext(folder)
    unsafe = "PRAGMA synchronous = OFF"  # a campaign commits a hundred times, each some 20 ms
    sa.event.listen(fake.ledger.engine, "connect", lambda c, _: c.execute(unsafe))
    fake.ledger.close()
    return fake
