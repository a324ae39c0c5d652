"""Comparisons in process, on fakes that behave."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from jobs.compare.compare import compare
from jobs.compare.options import CompareOptions
from jobs.datasets.inventory import parts_placed
from jobs.options import RunOptions
from models.errors import CampaignError, DataError
from tests.jobs.comparisons import Events, in_process, logged, pretend, small_comparison
from tests.jobs.fakes import FakeContext, write_castings


def nobody(_: Sequence[RunOptions]) -> Events:
    yield from _fail("nothing was to be run")


def _fail(why: str) -> Events:
    raise AssertionError(why)


@pytest.fixture
def compared(fake: FakeContext, castings: Path) -> dict[str, Any]:
    return compare(fake.open(), small_comparison(castings), in_process(fake, []))


def test_what_is_finished_is_not_run_again_nor_read(
    fake: FakeContext, castings: Path, compared: dict[str, Any]
):
    castings.rename(castings.with_name("elsewhere"))
    assert compare(fake.open(), small_comparison(castings), nobody) == compared


def test_more_seeds_run_only_those_that_are_missing(
    fake: FakeContext, castings: Path, compared: dict[str, Any]
):
    done: list[str] = []
    more = compare(fake.open(), small_comparison(castings, seeds="0-2"), in_process(fake, done))
    assert done == ["compare-castings-random-2", "compare-castings-bald-2"]
    assert more["seeds"] == [0, 1, 2]


def test_a_failed_campaign_is_told_and_the_others_go_on(fake: FakeContext, castings: Path):
    done: list[str] = []
    bad = "compare-castings-bald-0"
    with pytest.raises(CampaignError, match=r"(?s)1 of 4 campaigns failed.*out of luck"):
        compare(fake.open(), small_comparison(castings), in_process(fake, done, [bad]))
    assert len(done) == 3
    assert any(line.startswith(f"{bad} failed: exit code 1: out of luck") for line in fake.said)
    run_ = next(r for r in fake.tracker.runs.values() if "comparison" in r.tags)
    assert run_.status == "FAILED"
    result = compare(fake.open(), small_comparison(castings), in_process(fake, done))
    assert done[3:] == [bad]
    assert logged(fake, result) is run_
    assert run_.status == "FINISHED"


def test_a_comparison_that_was_stopped_gives_what_an_undisturbed_one_gives(
    fake: FakeContext, castings: Path, tmp_path: Path
):
    class Killed(BaseException):
        pass

    def stops(campaigns: Sequence[RunOptions]) -> Events:
        pretend(fake.ledger, campaigns[0], 1)  # one round of two, then the end
        yield None
        raise Killed

    with pytest.raises(Killed):
        compare(fake.open(), small_comparison(castings), stops)
    resumed = compare(fake.open(), small_comparison(castings), in_process(fake, []))
    (tmp_path / "other").mkdir()
    other = FakeContext(tmp_path / "other")
    undisturbed = compare(other.open(), small_comparison(castings), in_process(other, []))
    other.ledger.close()
    assert resumed == undisturbed


def test_the_same_names_with_other_sizes_are_refused_before_anything_runs(
    fake: FakeContext, castings: Path, compared: dict[str, Any]
):
    other = small_comparison(castings, campaign={"batch": 6})
    with pytest.raises(CampaignError, match=r"--batch is 6, it was begun with 5.*--campaign NAME"):
        compare(fake.open(), other, nobody)
    named = small_comparison(castings, campaign={"batch": 6, "campaign": "six"})
    result = compare(fake.open(), named, in_process(fake, []))
    assert result["comparison"] == "six"


def test_castings_without_labels_cannot_be_compared_on(fake: FakeContext, tmp_path: Path):
    data = write_castings(tmp_path / "some", {"ok": 12, "def": 12, "unlabelled": 3})
    with pytest.raises(
        DataError, match=r"castings to train or audit on have no label \(unlabelled/"
    ):
        compare(fake.open(), small_comparison(data), nobody)
    assert fake.tracker.runs == {}


def test_every_seed_is_split_anew_before_anything_runs_and_the_result_says_so(
    fake: FakeContext, castings: Path
):
    options = small_comparison(castings, seeds="0-2")

    def looks(campaigns: Sequence[RunOptions]) -> Events:
        sides = [_test_parts(fake, campaign) for campaign in campaigns]
        assert sides[0] == sides[1]  # random and bald of seed 0
        assert len({sides[0], sides[2], sides[4]}) == 3
        return in_process(fake, [])(campaigns)

    result = compare(fake.open(), options, looks)
    assert result["split"]["says"].startswith("every seed has its own split by part, shared by")
    assert "the data name no parts" in result["split"]["says"]
    assert result["split"]["test_parts"] == {str(s): {"def": 4, "ok": 4} for s in range(3)}


def test_a_split_that_the_data_gives_is_kept_only_if_that_is_asked_for(
    fake: FakeContext, tmp_path: Path
):
    data = tmp_path / "split"
    write_castings(data / "train", {"ok": 10, "def": 10})
    write_castings(data / "test", {"ok": 3, "def": 3}, start=50)
    given = small_comparison(data, campaign={"split": "given", "campaign": "kept"})
    kept = compare(fake.open(), given, in_process(fake, []))
    assert kept["split"]["says"].startswith("all seeds share one test side")
    assert kept["split"]["test_parts"] == {}
    assert not any("is not used" in line for line in fake.said)
    resplit = compare(fake.open(), small_comparison(data), in_process(fake, []))
    assert "the split that the data set gives is not used; --split given keeps it" in fake.said
    assert resplit["split"]["test_parts"]["0"] == {"def": 3, "ok": 3}  # a fifth of 13 each
    assert _test_parts(fake, small_comparison(data).campaigns()[0]) != _given_test(fake, given)


def test_parts_that_the_data_name_are_held_out_whole(fake: FakeContext, tmp_path: Path):
    write_castings(tmp_path / "castings", {"ok": 20, "def": 20})
    rows = [
        f"castings/{kind}/{n:03d}.png,{kind},{kind}-{n // 2}"
        for kind in ("ok", "def")
        for n in range(20)
    ]
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(["path,label,part", *rows]))
    split = compare(fake.open(), small_comparison(manifest), in_process(fake, []))["split"]
    assert split["says"] == "every seed has its own split by part, shared by its strategies"
    assert split["test_parts"] == {"0": {"def": 2, "ok": 2}, "1": {"def": 2, "ok": 2}}


def test_a_class_with_a_single_part_to_train_on_is_refused_before_anything_runs(
    fake: FakeContext, tmp_path: Path
):
    data = write_castings(tmp_path / "few", {"ok": 20, "def": 3})
    with pytest.raises(DataError, match="seed 0: class def has 1 parts to train on and 2 to test"):
        compare(fake.open(), small_comparison(data), nobody)


def test_more_rounds_than_the_pool_lasts_are_refused_before_anything_runs(
    fake: FakeContext, castings: Path
):
    longer = small_comparison(castings, campaign={"rounds": 7})  # 40 labels of 32
    with pytest.raises(DataError, match=r"seed 0: 7 rounds want 40 castings.*side has 32"):
        compare(fake.open(), longer, nobody)


def _test_parts(fake: FakeContext, campaign: RunOptions) -> frozenset[str]:
    placed = parts_placed(fake.ledger, campaign).values()
    return frozenset(part.part for part in placed if part.side == "test")


def _given_test(fake: FakeContext, options: CompareOptions) -> frozenset[str]:
    rows = fake.ledger.sides(options.campaign.source, "given").values()
    return frozenset(row.part for row in rows if row.side == "test")


def test_an_unknown_strategy_is_refused_before_anything_runs(fake: FakeContext, castings: Path):
    with pytest.raises(DataError, match="no strategy 'bold'"):
        compare(fake.open(), small_comparison(castings, strategies="random,bold"), nobody)


def test_an_unknown_measure_is_told_after_the_first_campaign(fake: FakeContext, castings: Path):
    done: list[str] = []
    with pytest.raises(DataError, match=r"--measure test/joy.*it has .*test/accuracy"):
        compare(
            fake.open(), small_comparison(castings, measure="test/joy"), in_process(fake, done)
        )
    assert len(done) == 1


def test_defects_found_can_be_compared(fake: FakeContext, castings: Path):
    options = small_comparison(
        castings, measure="labels/defects_found", strategies="random,margin,bald"
    )
    result = compare(fake.open(), options, in_process(fake, []))
    assert result["target"] == result["strategies"][0]["final"]
    assert len(result["strategies"]) == 3


def test_progress_tells_how_much_is_left(
    fake: FakeContext, compared: dict[str, Any], shown: Callable[[], list[str]]
):
    lines = shown()
    assert lines[0] == "4 campaigns to run, 0 of their 8 rounds are done"
    assert lines[1].startswith("compare-castings-random-0 finished, test/balanced_accuracy 0.")
    assert "1 of 4 campaigns, less than a minute left" in lines[1]


@pytest.fixture
def shown(fake: FakeContext) -> Callable[[], list[str]]:
    return lambda: [line for line in fake.said if "campaigns" in line]
