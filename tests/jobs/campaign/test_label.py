from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from jobs.adapters.retry import retrying
from jobs.campaign.label import export_labels, import_labels, label_status
from jobs.campaign.opening import open_campaign
from jobs.campaign.ports import Label
from jobs.campaign.run import run
from jobs.campaign.session import Session
from jobs.options import RunOptions
from models.errors import CampaignError, DataError
from tests.jobs.fakes import FakeContext, write_castings


@pytest.fixture
def awaiting(fake: FakeContext, tmp_path: Path) -> tuple[Session, Path]:
    """A campaign on castings without labels that awaits its first batch."""
    data = write_castings(tmp_path / "pool", {"shots": 30}) / "shots"
    options = RunOptions(
        data=str(data), classes="ok,def", audit_share=0.0, rounds=2, batch=4, initial=6,
        passes=4, steps=2, image_size=32,
    )  # fmt: skip
    context = fake.open()
    assert run(context, options)["state"] == "awaiting labels"
    return open_campaign(context, options), tmp_path / "labels.csv"


def _fill(file: Path, labels: list[str], annotator: str = "ann") -> None:
    table = pd.read_csv(file, dtype="string", keep_default_na=False)
    table["label"], table["annotator"] = labels, annotator
    table.to_csv(file, index=False)


def test_what_awaits_a_label_is_exported_with_paths_that_open(awaiting: tuple[Session, Path]):
    session, file = awaiting
    assert export_labels(session.reread(), file) == 6
    table = pd.read_csv(file)
    assert list(table.columns) == ["casting", "path", "label", "annotator"]
    assert all(Path(path).is_file() for path in table["path"])
    assert list(table["casting"]) == [a.casting for a in session.reread().state.asked]


def test_labels_come_back_and_the_same_file_again_changes_nothing(awaiting: tuple[Session, Path]):
    session, file = awaiting
    export_labels(session.reread(), file)
    _fill(file, ["ok", "def"] * 3)
    now = session.reread()
    assert import_labels(now, file) == {"labels": 6, "news": 6}
    assert import_labels(now, file) == {"labels": 6, "news": 0}
    status = label_status(session.campaign.name, session.reread().state)
    assert status["labels"] == {"def": 3, "ok": 3}
    assert status["awaiting"] == 0
    with pytest.raises(CampaignError, match="awaits no labels"):
        export_labels(session.reread(), file)


def test_a_file_filled_in_half_way_leaves_the_rest_for_later(awaiting: tuple[Session, Path]):
    session, file = awaiting
    export_labels(session.reread(), file)
    _fill(file, ["ok", "", "", "def", "", ""])
    import_labels(session.reread(), file)
    assert len(session.reread().state.unlabelled()) == 4
    assert run(session.context, session.campaign.options)["state"] == "awaiting labels"


def test_labels_are_not_lost_when_the_ledger_is_busy(awaiting: tuple[Session, Path]):
    session, file = awaiting
    export_labels(session.reread(), file)
    _fill(file, ["ok", "def"] * 3)
    now = session.reread()

    class BusyOnce:
        tried = False

        def record_labels(self, labels: Sequence[Label]) -> int:
            if not self.tried:
                self.tried = True
                list(labels)
                raise OSError("database is locked")
            return session.context.ledger.record_labels(labels)

    ledger = retrying(BusyOnce, "the ledger", str, lambda _: None, sleep=lambda _: None)
    busy = replace(now, context=replace(session.context, ledger=ledger))  # type: ignore[arg-type]
    assert import_labels(busy, file) == {"labels": 6, "news": 6}
    assert len(session.reread().state.labels) == 6


def test_a_file_that_people_have_filled_in_is_not_overwritten(awaiting: tuple[Session, Path]):
    session, file = awaiting
    now = session.reread()
    export_labels(now, file)
    export_labels(now, file)  # nothing is lost yet
    _fill(file, ["ok", "def", "ok", "", "", ""])
    filled = file.read_text()
    with pytest.raises(CampaignError, match=r"holds 3 labels that were not imported"):
        export_labels(now, file)
    assert file.read_text() == filled
    import_labels(now, file)
    assert export_labels(session.reread(), file) == 3


def test_labels_all_of_one_class_are_no_obstacle(awaiting: tuple[Session, Path]):
    session, file = awaiting
    export_labels(session.reread(), file)
    _fill(file, ["ok"] * 6)
    import_labels(session.reread(), file)
    result = run(session.context, session.campaign.options)
    assert result["state"] == "awaiting labels"
    assert result["awaiting"] == 4
    assert [r["labels"] for r in result["rounds"]] == [6]


@pytest.mark.parametrize(
    ("column", "row", "value", "complaint"),
    [
        ("label", 2, "scratched", r"line 4: no class 'scratched', there are ok, def"),
        ("casting", 0, "abc", r"line 2: no casting abc in this campaign"),
    ],
)
def test_a_wrong_line_refuses_the_whole_file(
    awaiting: tuple[Session, Path], column: str, row: int, value: str, complaint: str
):
    session, file = awaiting
    export_labels(session.reread(), file)
    _fill(file, ["ok", "def"] * 3)
    table = pd.read_csv(file, dtype="string")
    table.loc[row, column] = value
    table.to_csv(file, index=False)
    with pytest.raises(DataError, match=f"1 faults, nothing was taken: {complaint}"):
        import_labels(session.reread(), file)
    assert session.reread().state.labels == {}


def test_lines_that_contradict_each_other_refuse_the_whole_file(awaiting: tuple[Session, Path]):
    session, file = awaiting
    casting = session.reread().state.asked[0].casting
    lines = ["casting,label,annotator", f"{casting},ok,ann", f"{casting},def,bob"]
    file.write_text("\n".join([*lines, f"{casting},def,ann"]))
    with pytest.raises(DataError, match="line 4: def, but ok in line 2"):
        import_labels(session.reread(), file)
    assert session.reread().state.labels == {}


def test_a_file_without_the_columns_is_refused(awaiting: tuple[Session, Path]):
    session, file = awaiting
    file.write_text("image,verdict\na,ok\n")
    with pytest.raises(DataError, match="no column casting and label"):
        import_labels(session.reread(), file)
