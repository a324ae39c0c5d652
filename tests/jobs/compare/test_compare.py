"""Comparisons in process, on fakes that behave."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from jobs.compare.compare import compare
from jobs.options import RunOptions
from models.errors import CampaignError, DataError
from tests.jobs.comparisons import Events, in_process, logged, small_comparison
from tests.jobs.fakes import FakeContext, pretend, write_castings


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
    assert lines[1].startswith("compare-castings-random-0 finished, test/accuracy 0.")
    assert "1 of 4 campaigns, less than a minute left" in lines[1]


@pytest.fixture
def shown(fake: FakeContext) -> Callable[[], list[str]]:
    return lambda: [line for line in fake.said if "campaigns" in line]
