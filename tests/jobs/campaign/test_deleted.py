"""What was deleted in MLflow: results come from the ledger, and a campaign goes on."""

from pathlib import Path

import pytest

from jobs.campaign.run import run
from tests.jobs.campaigns import small
from tests.jobs.fakes import FakeContext, FakeTracker


def _delete_version(tracker: FakeTracker) -> None:
    """The latest version, and with it the alias that points at it."""
    tracker.versions.pop()
    tracker.alias.clear()


def _delete_round(tracker: FakeTracker) -> None:
    tracker.runs["run-of-castings-bald-0/round-01"].deleted = True


def _delete_campaign(tracker: FakeTracker) -> None:
    tracker.runs["run-of-castings-bald-0"].deleted = True


def _delete_experiment(tracker: FakeTracker) -> None:
    for one in tracker.runs.values():
        one.deleted = True


def _delete_store(tracker: FakeTracker) -> None:
    tracker.runs.clear()
    tracker.versions.clear()
    tracker.alias.clear()


EVERYTHING = [
    _delete_version, _delete_round, _delete_campaign, _delete_experiment, _delete_store,
]  # fmt: skip


@pytest.mark.parametrize("delete", EVERYTHING)
def test_a_finished_campaign_prints_its_result_from_the_ledger(
    fake: FakeContext, castings: Path, delete: "object"
):
    first = run(fake.open(), small(castings, rounds=2))
    trained = len(fake.tracker.versions)
    delete(fake.tracker)  # type: ignore[operator]
    again = run(fake.open(), small(castings, rounds=2))
    assert again["state"] == "finished"
    assert again["rounds"] == first["rounds"]
    assert len(fake.tracker.versions) <= trained  # nothing was trained for it


@pytest.mark.parametrize("delete", EVERYTHING)
def test_the_next_round_goes_on_after_the_latest_model_is_there_again(
    fake: FakeContext, castings: Path, delete: "object"
):
    run(fake.open(), small(castings, rounds=2))
    delete(fake.tracker)  # type: ignore[operator]
    result = run(fake.open(), small(castings, rounds=3))
    assert [r["labels"] for r in result["rounds"]] == [10, 15, 20]
    latest = result["rounds"][-1]
    assert fake.tracker.alias["casting-defects"] == latest["version"]
    assert fake.tracker.has_run(latest["run_id"])
    assert fake.tracker.has_run(result["mlflow_run"])
    parent = fake.tracker.runs[result["mlflow_run"]]
    assert set(parent.metric("test/accuracy")) == {10, 15, 20}  # those of before too
    assert any("no longer in MLflow" in line for line in fake.said)
    assert "promote" not in result


def test_a_round_is_trained_again_only_where_its_model_is_missed(
    fake: FakeContext, castings: Path
):
    run(fake.open(), small(castings, rounds=2))
    _delete_campaign(fake.tracker)
    run(fake.open(), small(castings, rounds=3))
    assert [version.tags["round"] for version, _ in fake.tracker.versions] == ["0", "1", "2"]
    assert not any("trained again" in line for line in fake.said)


def test_a_version_of_somebody_else_with_the_same_number_is_not_made_current(
    fake: FakeContext, castings: Path
):
    options = small(castings, rounds=1)
    run(fake.open(), options)
    _delete_store(fake.tracker)
    (fake.folder / "elsewhere").mkdir()
    elsewhere = FakeContext(fake.folder / "elsewhere", fake.tracker)
    other = run(elsewhere.open(), small(castings, rounds=1, strategy="random"))
    elsewhere.ledger.close()
    assert other["rounds"][0]["version"] == "1"
    fake.tracker.alias.clear()
    run(fake.open(), options)
    assert fake.tracker.alias == {}
    assert any("version 1 of casting-defects is no longer in MLflow" in s for s in fake.said)
