"""What a data set is said to be before anything is trained."""

from pathlib import Path

import pandas as pd
import pytest

from jobs.campaign.dry_run import dry_run, in_words
from jobs.campaign.run import run
from jobs.datasets.reader import read_data_set
from jobs.options import RunOptions
from jobs.progress import silent
from models.errors import DataError
from tests.jobs.fakes import FakeContext, casting_bytes, write_castings


def _dry(data: Path, **options: object) -> dict:
    return dry_run(RunOptions(data=str(data), **options), silent, lambda _: None)


def test_wrapped_sides_in_capitals_with_masks_and_files_of_other_kinds(tmp_path: Path):
    write_castings(tmp_path / "x" / "Train", {"ok": 4, "def": 3})
    write_castings(tmp_path / "x" / "Test", {"ok": 2, "def": 1}, start=50)
    write_castings(tmp_path / "x", {"unlabeled": 5}, start=90)
    (tmp_path / "x" / "Train" / "def" / "000_mask.png").write_bytes(casting_bytes("ok", 99))
    (tmp_path / "x" / "Train" / "ok" / "a.heic").write_bytes(b"")
    (tmp_path / "x" / "Train" / "ok" / "cut.png").write_bytes(b"not a png")
    (tmp_path / "x" / "__MACOSX").mkdir()
    found = _dry(tmp_path)
    ((path, reason),) = found.pop("unreadable")
    assert path == "x/Train/ok/cut.png"
    assert reason.startswith("not an image of a kind we read")
    assert found == {
        "classes": {"def": 4, "ok": 6},
        "sides": {"train": 7, "test": 3, "pool": 5},
        "parts": 15,
        "channels": 1,
        "bits": 8,
        "ignored": {".heic": 1, "hidden or system": 1, "mask": 1},
        "warnings": ["everything lies in x, so that is read"],
    }


def test_a_pool_in_folders_by_date(tmp_path: Path):
    write_castings(tmp_path, {"2026-11-01": 3})
    write_castings(tmp_path, {"2026-11-02": 4}, start=10)
    found = _dry(tmp_path, classes="ok,def")
    assert (found["classes"], found["sides"]) == (
        {"ok": 0, "def": 0},
        {"train": 0, "test": 0, "pool": 7},
    )
    (dated,) = found["warnings"]
    assert dated.startswith("named by date, hence castings without a label: 2026-11-01")
    *_, told = _dry(tmp_path)["warnings"]
    assert told.startswith("cannot be run so: at least two different classes are needed")


def test_without_a_split_the_test_side_is_the_one_that_a_campaign_would_have(
    fake: FakeContext, castings: Path
):
    sides = _dry(castings)["sides"]
    assert sides == {"train": 32, "test": 8, "pool": 0}


def test_a_good_class_that_is_not_known_is_said_with_the_option(tmp_path: Path):
    write_castings(tmp_path, {"io": 4, "nio": 4})
    (told,) = _dry(tmp_path)["warnings"]
    assert "which of the classes io, nio is the good one is not known" in told
    assert "--good NAME" in told
    assert _dry(tmp_path, good="io")["warnings"] == []


def test_test_castings_that_are_known_from_training_are_said(tmp_path: Path):
    write_castings(tmp_path / "train", {"ok": 3, "def": 3})
    write_castings(tmp_path / "test", {"ok": 4, "def": 1}, start=2)
    assert _dry(tmp_path)["warnings"] == ["2 test castings left out: their bytes stand in train"]


def test_parts_on_both_sides_are_counted_and_said(castings: Path):
    rows = [
        {"path": f"{kind}/{n:03d}.png", "label": kind, "part": f"{kind}{n // 2}", "split": side}
        for kind in ("ok", "def")
        for n, side in enumerate(["train", "test", "train", "train"])
    ]
    manifest = castings / "m.csv"
    pd.DataFrame(rows).to_csv(manifest, index=False)
    found = _dry(manifest)
    assert found["parts"] == 4
    assert found["warnings"] == ["2 test castings show parts that stand in train; --split by-part"]


def test_what_is_refused_is_refused_here_too(tmp_path: Path):
    write_castings(tmp_path, {"ok": 4, "OK": 4, "def": 4})
    with pytest.raises(DataError, match="'OK' and 'ok' differ by case"):
        _dry(tmp_path)


def test_a_campaign_says_it_in_words_before_it_trains(fake: FakeContext, castings: Path):
    (castings / "ok" / "notes.txt").write_text("")
    options = RunOptions(
        data=str(castings), rounds=1, batch=5, initial=10, passes=4, steps=2, image_size=32
    )
    run(fake.open(), options)
    words = [
        f"{castings}: 40 castings of 40 parts, grey, 8 bits; classes: def 20, ok 20",
        "labelled for training 32, labelled for testing 8, without a label in the data 0",
        "not read, since they are no castings: 1 .txt",
    ]
    assert fake.said[1:4] == words
    assert in_words(read_data_set(castings, {}), _dry(castings)) == words
    fake.said.clear()
    run(fake.open(), options)  # it is finished: nothing is trained
    assert fake.said == []
