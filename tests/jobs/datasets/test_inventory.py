"""Pools that change while a campaign goes on."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jobs import progress
from jobs.adapters.ledger import Ledger
from jobs.campaign import acquire
from jobs.campaign.opening import look_up, open_campaign
from jobs.campaign.ports import Context
from jobs.campaign.run import run
from jobs.campaign.session import Session
from jobs.datasets.castings import Side
from jobs.datasets.inventory import parts_placed, take_inventory
from jobs.options import RunOptions
from tests.jobs.campaigns import labels_of
from tests.jobs.fakes import FakeContext, casting_bytes, write_castings


@pytest.fixture
def options(castings: Path) -> RunOptions:
    return RunOptions(
        data=str(castings), rounds=3, batch=5, initial=10, passes=4, steps=2, image_size=32
    )


def test_moved_and_renamed_files_are_the_same_castings(
    fake: FakeContext, castings: Path, options: RunOptions
):
    before = look_up(fake.open(), options)
    fake.said.clear()
    (castings / "ok" / "000.png").rename(castings / "ok" / "zzz.png")
    (castings / "def" / "line-2").mkdir()
    (castings / "def" / "001.png").rename(castings / "def" / "line-2" / "001.png")
    after = Session.begin(fake.open(), before).with_inventory().campaign
    assert after.sides == before.sides
    assert after.castings.keys() == before.castings.keys()
    assert fake.said == []


def test_no_castings_side_changes_however_the_pool_grows(
    fake: FakeContext, castings: Path, options: RunOptions
):
    before = look_up(fake.open(), options)
    write_castings(castings, {"ok": 200, "def": 3}, start=100)
    after = look_up(fake.open(), options)
    assert {c: after.sides[c] for c in before.sides} == before.sides
    new = [after.sides[c] for c in after.sides.keys() - before.sides.keys()]
    assert 20 <= new.count("test") <= 60  # a fifth of 203
    assert f"203 castings are new in {castings}" in fake.said
    assert not any("gone" in line for line in fake.said)


def test_a_given_side_is_kept_when_the_file_moves_to_the_other_folder(
    fake: FakeContext, tmp_path: Path
):
    data = tmp_path / "split"
    write_castings(data / "train", {"ok": 6, "def": 6})
    write_castings(data / "test", {"ok": 3, "def": 3}, start=50)
    options = RunOptions(data=str(data), rounds=1, initial=4, image_size=32)
    before = look_up(fake.open(), options)
    (data / "test" / "ok" / "050.png").rename(data / "train" / "ok" / "050.png")
    (data / "test" / "def" / "000.png").write_bytes(casting_bytes("def", 0))  # a copy of train's
    after = look_up(fake.open(), options)
    assert after.sides == before.sides
    assert "1 castings stay on the side where they were first seen: train/ok/050.png" in fake.said


def test_files_added_between_two_rounds_of_one_job_can_be_asked_for(
    fake: FakeContext, castings: Path, options: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    _between_rounds(
        monkeypatch, lambda: write_castings(castings, {"ok": 300, "def": 300}, start=100)
    )
    context = fake.open()
    result = run(context, options)
    assert f"600 castings are new in {castings}" in fake.said
    session = open_campaign(context, options)
    asked = [session.campaign.casting(a.casting).paths[0] for a in session.reread().state.asked]
    assert any(int(Path(path).stem) >= 100 for path in asked[10:])
    assert [r["labels"] for r in result["rounds"]] == [10, 15, 20]


def test_a_labelled_casting_that_is_removed_is_said_and_no_longer_trained_on(
    fake: FakeContext, castings: Path, options: RunOptions
):
    context = fake.open()
    run(context, replace(options, rounds=1, audit_share=0.0))
    first = context.ledger.asked("castings-bald-0")[0].casting
    path = castings / look_up(context, replace(options, audit_share=0.0)).casting(first).paths[0]
    content = path.read_bytes()
    path.unlink()
    result = run(context, replace(options, rounds=2, audit_share=0.0))
    assert f"1 castings are gone from {castings}: {path.relative_to(castings)}" in fake.said
    metrics = result["rounds"][1]["metrics"]
    assert (metrics["labels/total"], metrics["labels/train"]) == (15, 14)
    table = fake.tracker.runs[result["rounds"][1]["run_id"]].files["labels.csv"].decode()
    (row,) = [line for line in table.splitlines() if line.startswith(first)]
    assert row.endswith(",gone")
    path.with_name("back.png").write_bytes(content)
    result = run(context, replace(options, rounds=3, audit_share=0.0))
    assert result["rounds"][2]["metrics"]["labels/train"] == 20


def test_a_casting_that_is_removed_before_it_was_labelled_is_not_waited_for(
    fake: FakeContext, castings: Path, options: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    def remove_one(context: Context) -> None:
        last = context.ledger.asked("castings-bald-0")[-1].casting
        seen = context.ledger.seen()[last]
        (castings / seen.path).unlink()

    context = fake.open()
    asks = acquire.ask_next
    monkeypatch.setattr(
        acquire, "ask_next", lambda session: asks(session) and remove_one(context) is None
    )
    result = run(context, replace(options, rounds=2))
    assert [r["labels"] for r in result["rounds"]] == [10, 14]
    assert result["state"] == "finished"


def test_growing_the_pool_between_two_commands_changes_nobodys_test_side_by_part(
    fake: FakeContext, tmp_path: Path
):
    rows = []
    for number in range(40):
        (tmp_path / f"{number}.png").write_bytes(casting_bytes(("ok", "def")[number % 2], number))
        rows.append(
            {
                "path": f"{number}.png",
                "label": ("ok", "def")[number % 2],
                "part": f"p{number % 10}",
            }
        )
    manifest = tmp_path / "manifest.csv"
    pd.DataFrame(rows[:30]).to_csv(manifest, index=False)
    options = RunOptions(data=str(manifest), rounds=1, initial=4, image_size=32)
    before = look_up(fake.open(), options)
    pd.DataFrame(rows).to_csv(manifest, index=False)
    after = look_up(fake.open(), options)
    assert {c: after.sides[c] for c in before.sides} == before.sides
    side_of_part = {(c.part, after.sides[c.id]) for c in after.data.castings}
    assert len(side_of_part) == 10  # new shots of a part lie where the part lies


def test_a_given_split_stays_given_when_its_test_folder_is_away(fake: FakeContext, tmp_path: Path):
    data = tmp_path / "split"
    write_castings(data / "train", {"ok": 8, "def": 8})
    write_castings(data / "test", {"ok": 3, "def": 3}, start=50)
    options = RunOptions(data=str(data), rounds=1, initial=4, image_size=32)
    before = look_up(fake.open(), options)
    (data / "test").rename(tmp_path / "away")
    after = look_up(fake.open(), options)
    assert set(after.sides.values()) == {"train"}
    (tmp_path / "away").rename(data / "test")
    assert look_up(fake.open(), options).sides == before.sides


@pytest.mark.parametrize("column", ["split", "part"])
def test_a_column_that_a_manifest_gets_later_moves_nobody(
    fake: FakeContext, tmp_path: Path, column: str
):
    rows, manifest = _in_a_manifest(tmp_path)
    options = RunOptions(data=str(manifest), rounds=1, initial=4, image_size=32)
    before = look_up(fake.open(), options)
    added = {"split": lambda n: "test" if n == 0 else "train", "part": lambda n: f"p{n % 12}"}
    table = [row | {column: added[column](n)} for n, row in enumerate(rows)]
    pd.DataFrame(table).to_csv(manifest, index=False)
    assert look_up(fake.open(), options).sides == before.sides


def test_a_class_whose_files_are_gone_does_not_stop_a_campaign(fake: FakeContext, tmp_path: Path):
    data = write_castings(tmp_path / "castings", {"ok": 10, "def": 10, "scrap": 10})
    options = RunOptions(
        data=str(data), rounds=1, batch=4, initial=12, passes=4, steps=2, image_size=32
    )
    context = fake.open()
    run(context, options)
    (data / "scrap").rename(tmp_path / "gone")
    result = run(context, replace(options, rounds=2))
    assert [r["labels"] for r in result["rounds"]] == [12, 16]
    assert "labels/share_scrap" in result["rounds"][1]["metrics"]


def test_a_file_that_moves_to_another_class_has_its_new_label(
    fake: FakeContext, castings: Path, options: RunOptions
):
    options = replace(options, audit_share=0.0)
    context = fake.open()
    run(context, replace(options, rounds=1))
    first = context.ledger.asked("castings-bald-0")[0].casting
    path = look_up(context, options).casting(first).paths[0]
    other = "def" if path.startswith("ok") else "ok"
    (castings / path).rename(castings / other / "moved.png")
    run(context, replace(options, rounds=2))
    assert f"1 castings have another label now: {other}/moved.png" in fake.said
    assert labels_of(context)[first] == other


def test_what_a_person_said_of_a_casting_stays_whatever_its_folder_says(
    fake: FakeContext, castings: Path, options: RunOptions
):
    context = fake.open()
    run(context, replace(options, rounds=1))
    first = context.ledger.asked("castings-bald-0")[0].casting
    other = "def" if labels_of(context)[first] == "ok" else "ok"
    label_set = context.ledger.campaigns()[0].label_set
    context.ledger.record_labels(label_set, [(first, other, "ann")])
    run(context, replace(options, rounds=2))
    assert labels_of(context)[first] == other


def test_classes_that_were_renamed_are_no_further_classes(
    fake: FakeContext, castings: Path, options: RunOptions
):
    context = fake.open()
    run(context, replace(options, rounds=1))
    (castings / "ok").rename(castings / "good")
    result = run(context, replace(options, rounds=1, campaign="renamed"))
    _, predictor = fake.tracker.versions[-1]
    assert (predictor.classes, predictor.operating.good) == (("def", "good"), "good")
    assert result["state"] == "finished"


def test_another_campaigns_split_moves_nobody(fake: FakeContext, tmp_path: Path):
    rows, manifest = _in_a_manifest(tmp_path)
    options = RunOptions(data=str(manifest), rounds=1, initial=4, image_size=32)
    before = look_up(fake.open(), options)
    given = [row | {"split": "test" if n < 10 else "train"} for n, row in enumerate(rows)]
    pd.DataFrame(given).to_csv(manifest, index=False)
    other = look_up(fake.open(), replace(options, split_seed=1))
    assert Counter(other.sides.values()) == {"test": 10, "train": 20}
    assert look_up(fake.open(), options).sides == before.sides


def test_splits_of_several_seeds_stand_side_by_side_whoever_places_them_first(
    fake: FakeContext, castings: Path, options: RunOptions
):
    seeds, barrier = [0, 1, 2] * 2, threading.Barrier(6, timeout=60)

    class Racing(Ledger):
        def record_sides(self, *placed: Any) -> None:
            barrier.wait()  # all six have placed before one records
            super().record_sides(*placed)

    def place(seed: int) -> dict[str, Side]:
        ledger = Racing(f"sqlite:///{fake.folder / 'ledger.db'}")
        by_part = replace(options, split="by-part", split_seed=seed)
        _, sides = take_inventory(ledger, by_part, progress.silent, fake.said.append)
        ledger.close()
        return sides

    with ThreadPoolExecutor(len(seeds)) as pool:
        sides = list(pool.map(place, seeds))
    assert sides[:3] == sides[3:]
    assert len({frozenset(c for c, side in s.items() if side == "test") for s in sides}) == 3
    for seed, placed in enumerate(sides[:3]):
        by_part = replace(options, split="by-part", split_seed=seed)
        parts = parts_placed(fake.ledger, by_part)
        assert {part: place.side for part, place in parts.items()} == placed  # each its own part


def _in_a_manifest(folder: Path) -> tuple[list[dict[str, str]], Path]:
    """Thirty castings, neither parts nor split named: the rows, and the manifest's path."""
    rows = []
    for number in range(30):
        kind, path = ("ok", "def")[number % 2], f"{number}.png"
        (folder / path).write_bytes(casting_bytes(kind, number))
        rows.append({"path": path, "label": kind})
    manifest = folder / "manifest.csv"
    pd.DataFrame(rows).to_csv(manifest, index=False)
    return rows, manifest


def _between_rounds(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen when the first round is trained, while the job goes on."""
    from jobs.campaign import run as module

    trains, done = module.train_round, list[bool]()

    def train_then(*args: object) -> object:
        trained = trains(*args)  # type: ignore[arg-type]
        if not done:
            done.append(True)
            happens()
        return trained

    monkeypatch.setattr(module, "train_round", train_then)
