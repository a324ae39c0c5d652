from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from jobs.adapters.retry import retrying
from jobs.campaign.label import export_labels, import_labels, label_status
from jobs.campaign.label_files import COLUMNS
from jobs.campaign.opening import open_campaign
from jobs.campaign.ports import Label, Said
from jobs.campaign.run import run
from jobs.campaign.session import Session
from jobs.options import RunOptions
from models.errors import CampaignError, DataError
from tests.jobs.campaigns import small
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
    assert list(table.columns) == list(COLUMNS)
    assert all(Path(path).is_file() for path in table["path"])
    assert list(table["casting"]) == [a.casting for a in session.reread().state.asked]


def test_labels_come_back_and_the_same_file_again_changes_nothing(awaiting: tuple[Session, Path]):
    session, file = awaiting
    export_labels(session.reread(), file)
    _fill(file, ["ok", "def"] * 3)
    now = session.reread()
    first, again = import_labels(now, file), import_labels(now, file)
    assert first == {"labels": 6, "news": 6, "skipped": 0, "disagreements": 0, "notes": []}
    assert again == first | {"news": 0}
    status = label_status(session.campaign.name, session.reread().state)
    assert status["label_set"] == f"{session.campaign.data.root}: def, ok"
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

        def record_labels(self, label_set: str, labels: Sequence[Label]) -> int:
            if not self.tried:
                self.tried = True
                list(labels)
                raise OSError("database is locked")
            return session.context.ledger.record_labels(label_set, labels)

        def labels(self, label_set: str) -> list[Said]:
            return session.context.ledger.labels(label_set)

    ledger = retrying(BusyOnce, "the ledger", str, lambda _: None, sleep=lambda _: None)
    busy = replace(now, context=replace(session.context, ledger=ledger))  # type: ignore[arg-type]
    assert import_labels(busy, file)["news"] == 6
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
        ("label", 2, "scratched", "line 4: no class 'scratched', there are ok, def; `run --cl"),
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


def test_a_casting_that_cannot_be_judged_is_skipped_and_the_campaign_goes_on(
    awaiting: tuple[Session, Path],
):
    session, file = awaiting
    export_labels(session.reread(), file)
    _fill(file, ["ok", "def", "ok", "def", "ok", "Skip"])
    taken = import_labels(session.reread(), file)
    assert (taken["labels"], taken["skipped"], taken["news"]) == (5, 1, 6)
    assert taken["notes"] == ["1 label read as skip: 'Skip'"]
    now = session.reread()
    status = label_status(session.campaign.name, now.state)
    assert (status["labelled"], status["skipped"], status["awaiting"]) == (5, 1, 0)
    skipped = now.state.asked[5].casting
    assert skipped not in {casting.id for casting, _ in now.castings_to_train_on()}
    other = replace(session.campaign.options, strategy="random")  # of the same label set
    assert skipped not in {c.id for c in open_campaign(session.context, other).pool()}
    result = run(session.context, session.campaign.options)
    assert [r["labels"] for r in result["rounds"]] == [5]
    assert result["rounds"][0]["metrics"]["labels/total"] == 5
    later = session.reread().state
    assert len(later.unlabelled()) == 4
    assert skipped not in {a.casting for a in later.batch(1)}


def test_a_batch_of_which_too_little_can_be_judged_says_the_way_out(
    awaiting: tuple[Session, Path],
):
    session, file = awaiting
    export_labels(session.reread(), file)
    _fill(file, ["ok"] + ["skip"] * 5)
    import_labels(session.reread(), file)
    with pytest.raises(CampaignError, match=r"1 labels to train on.*needs 2; 5 of 6 .* skipped"):
        run(session.context, session.campaign.options)


def test_people_who_disagree_are_said_and_the_latest_counts(awaiting: tuple[Session, Path]):
    session, file = awaiting
    export_labels(session.reread(), file)
    _fill(file, ["ok"] * 6, "ann")
    assert import_labels(session.reread(), file)["disagreements"] == 0
    _fill(file, ["def", "ok", "skip", "ok", "ok", "ok"], "bob")
    taken = import_labels(session.reread(), file)
    first, now = (
        session.campaign.casting(session.reread().state.asked[0].casting),
        session.reread(),
    )
    assert taken["disagreements"] == 1
    assert taken["notes"] == [
        f"1 casting labelled differently: {first.paths[0]} (ok by ann and def by bob); "
        f"the latest label counts"
    ]
    assert label_status(session.campaign.name, now.state)["disagreements"] == 1
    assert now.state.labels[first.id] == "def"


def test_what_excel_made_of_an_export_is_taken_with_a_line_that_says_so(
    awaiting: tuple[Session, Path],
):
    session, file = awaiting
    excel = file.with_suffix(".xlsx")
    assert export_labels(session.reread(), excel) == 6
    table = pd.read_excel(excel)
    assert list(table["reason"]) == ["random"] * 6
    assert set(table["classes"]) == {"ok, def, skip"}
    assert list(table["file"]) == [Path(path).name for path in table["path"]]
    table["label"] = ["OK", "Def ", "ok", "Def ", "ok", "Def "]
    table.to_csv(file, sep=";", index=False, encoding="cp1252")
    taken = import_labels(session.reread(), file)
    notes = ["1 label read as ok: 'OK'", "3 labels read as def: 'Def '"]
    assert taken["notes"] == notes
    assert (taken["labels"], session.reread().state.labels.keys()) == (6, set(table["casting"]))


def test_numbers_that_a_spreadsheet_made_of_classes_are_read_as_classes(
    fake: FakeContext, tmp_path: Path
):
    data = write_castings(tmp_path / "pool", {"shots": 12}) / "shots"
    options = small(data, classes="0,1", audit_share=0.0, initial=4, batch=2)
    run(fake.open(), options)
    session, file = open_campaign(fake.open(), options), tmp_path / "labels.csv"
    export_labels(session, file)
    table = pd.read_csv(file)
    table["label"] = [0, 1, None, 1]  # a gap makes pandas write 0.0
    table.to_csv(file, index=False)
    assert "0.0" in file.read_text()
    import_labels(session, file)
    assert sorted(session.reread().state.labels.values()) == ["0", "1", "1"]


def test_nobody_may_pass_for_the_data_set(awaiting: tuple[Session, Path]):
    session, file = awaiting
    export_labels(session.reread(), file)
    _fill(file, ["ok", "def"] * 3, "Oracle")
    with pytest.raises(DataError, match="annotator oracle is what the data set itself is called"):
        import_labels(session.reread(), file)


def test_a_file_without_the_columns_is_refused(awaiting: tuple[Session, Path]):
    session, file = awaiting
    file.write_text("image,verdict\na,ok\n")
    with pytest.raises(DataError, match="no column casting and label"):
        import_labels(session.reread(), file)
