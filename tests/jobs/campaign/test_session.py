"""What a campaign knows of its castings."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from jobs.campaign.opening import open_campaign
from jobs.campaign.ports import SKIP
from jobs.campaign.run import run
from jobs.campaign.session import _calibrates
from models.errors import DataError
from tests.jobs.campaigns import small
from tests.jobs.fakes import FakeContext, casting_bytes


def test_leaked_and_duplicate_castings_are_counted(fake: FakeContext, tmp_path: Path):
    rows = []
    for number in range(24):
        kind = ("ok", "def")[number % 2]
        name = f"{number}.png"
        (tmp_path / name).write_bytes(casting_bytes(kind, number))
        split = "test" if number >= 16 else "train"
        rows.append({"path": name, "label": kind, "part": f"p{number % 12}", "split": split})
    pd.DataFrame(rows).to_csv(tmp_path / "m.csv", index=False)
    result = run(fake.open(), small(tmp_path / "m.csv", rounds=1, initial=8))
    metrics = result["rounds"][0]["metrics"]
    assert metrics["data/leaked_test_castings"] == 8  # parts 4 to 11 stand on both sides
    assert metrics["data/duplicate_test_castings"] == 0


@pytest.mark.parametrize("split_seed", [0, 1, 2])
def test_half_of_the_audit_calibrates_whatever_the_split(
    fake: FakeContext, castings: Path, split_seed: int
):
    session = open_campaign(
        fake.open(), small(castings, split_seed=split_seed, campaign=f"split-{split_seed}")
    )
    test = [c for c in session.campaign.data.castings if session.campaign.sides[c.id] == "test"]
    assert 0 < sum(map(_calibrates, test)) < len(test)


def test_a_label_outside_the_classes_names_a_path(fake: FakeContext, castings: Path):
    with pytest.raises(DataError, match=r"def \(def/\d+\.png\): no such class.*ok, scrap"):
        run(fake.open(), small(castings, classes="ok,scrap"))


def test_corrected_labels_of_test_castings_count_from_the_next_round_on(
    fake: FakeContext, castings: Path
):
    context = fake.open()
    options = small(castings, rounds=1, audit_share=0.0, steps=60, pictures=False, train="all")
    before = run(context, options)["rounds"][0]["metrics"]["test/accuracy"]
    session = open_campaign(context, options)
    tested = session.castings_to_test_on()
    label_set, other = session.campaign.label_set, {"ok": "def", "def": "ok"}
    flipped = [(casting.id, other[label], "ann") for casting, label in tested]
    assert context.ledger.record_labels(label_set, flipped) == len(tested) == 8
    now = session.reread()
    assert [label for _, label in now.castings_to_test_on()] == [label for _, label, _ in flipped]
    assert now.castings_to_train_on() == session.castings_to_train_on()
    assert sorted(now.changed_labels()) == sorted(casting.id for casting, _ in tested)
    trained = run(context, replace(options, rounds=2))["rounds"][1]
    assert before == 1.0
    assert trained["metrics"]["test/accuracy"] == 0.0
    assert open_campaign(context, replace(options, rounds=2)).changed_labels() == []


def test_a_test_casting_that_cannot_be_judged_measures_nothing(fake: FakeContext, castings: Path):
    session = open_campaign(fake.open(), small(castings, audit_share=0.0))
    first = session.castings_to_test_on()[0][0]
    fake.ledger.record_labels(session.campaign.label_set, [(first.id, SKIP, "ann")])
    assert first.id not in {casting.id for casting, _ in session.reread().castings_to_test_on()}
    assert len(session.reread().castings_to_test_on()) == 7
