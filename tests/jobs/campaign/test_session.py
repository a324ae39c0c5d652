"""What a campaign knows of its castings."""

from pathlib import Path

import pandas as pd
import pytest

from jobs.campaign.opening import open_campaign
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
