"""One round's training."""

import io
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from jobs.campaign.run import run
from jobs.datasets.tables import as_it_was
from models.errors import OutageError
from tests.jobs.campaigns import small
from tests.jobs.fakes import FakeContext, write_castings


def _metric(result: dict[str, list[dict[str, dict[str, float]]]], number: int, key: str) -> float:
    return result["rounds"][number]["metrics"][key]


def _full(*_: object) -> None:
    raise OutageError("no space left on device")


def test_every_round_leaves_its_artifacts(fake: FakeContext, castings: Path):
    result = run(fake.open(), small(castings, rounds=2))
    first = fake.tracker.runs[result["rounds"][0]["run_id"]]
    assert set(first.files) == {
        "acquired.csv",
        "contact_sheet.png",
        "labels.csv",
        "confusion_matrix.png",
        "reliability_diagram.png",
        "learning_curve.png",
    }
    for name, content in first.files.items():
        if name.endswith(".png"):
            assert Image.open(io.BytesIO(content)).format == "PNG"
    acquired = pd.read_csv(io.BytesIO(first.files["acquired.csv"]))
    assert list(acquired["rank"]) == [0, 1, 2, 3, 4]
    assert list(acquired["use"]) == ["train"] * 4 + ["audit"]
    chosen = acquired[acquired["use"] == "train"]
    assert chosen["bald"].is_monotonic_decreasing
    labels = pd.read_csv(io.BytesIO(first.files["labels.csv"]))
    assert sorted(labels["use"]) == ["audit"] * 2 + ["train"] * 8


def test_campaigns_share_initial_labels_but_never_models(fake: FakeContext, castings: Path):
    context = fake.open()
    a = run(context, small(castings, strategy="bald"))
    b = run(context, small(castings, strategy="margin"))
    first = {
        name: {x.casting for x in context.ledger.asked(name) if x.round == 0}
        for name in (a["campaign"], b["campaign"])
    }
    assert first[a["campaign"]] == first[b["campaign"]]
    versions = [{r["version"] for r in result["rounds"]} for result in (a, b)]
    assert versions[0].isdisjoint(versions[1])
    assert _metric(a, 0, "test/nll") == _metric(b, 0, "test/nll")  # same labels, same weights
    asked_with = [r.version for r in fake.scorer.requests]
    assert set(asked_with[:2]) <= versions[0]
    assert set(asked_with[2:]) <= versions[1]


def test_a_failure_in_training_leaves_its_round_failed_until_it_is_trained_again(
    fake: FakeContext, castings: Path, monkeypatch: pytest.MonkeyPatch
):
    options = small(castings, rounds=1)
    with monkeypatch.context() as patch:
        patch.setattr(fake.tracker, "publish", _full)
        with pytest.raises(OutageError, match="no space"):
            run(fake.open(), options)
    assert {run.status for run in fake.tracker.runs.values()} == {"FAILED"}
    run(fake.open(), options)
    assert {run.status for run in fake.tracker.runs.values()} == {"FINISHED"}


def test_tables_of_castings_and_labels_that_look_like_formulas_are_safe_to_open(
    fake: FakeContext, tmp_path: Path
):
    data = write_castings(tmp_path / "castings", {"=ok": 12, "-def": 12})
    options = small(data, rounds=2, good="=ok", audit_share=0.0, initial=6, pictures=False)
    result = run(fake.open(), options)
    files = fake.tracker.runs[result["rounds"][0]["run_id"]].files
    for name, column in (
        ("acquired.csv", "path"),
        ("labels.csv", "path"),
        ("labels.csv", "label"),
    ):
        values = list(pd.read_csv(io.BytesIO(files[name]), dtype="string")[column])
        assert all(value.startswith(("'=ok", "'-def")) for value in values)
        assert {as_it_was(value)[0] for value in values} <= {"=", "-"}
