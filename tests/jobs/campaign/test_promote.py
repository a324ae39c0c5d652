"""Which version a campaign makes current, and which not."""

from pathlib import Path

import pytest

from jobs.campaign.promote import promote, roll_back
from jobs.campaign.run import run
from models.errors import VersionNotFound
from tests.jobs.campaigns import small
from tests.jobs.fakes import FakeContext


def test_current_is_left_to_the_campaign_that_has_it(fake: FakeContext, castings: Path):
    mine = run(fake.open(), small(castings, strategy="bald"))
    other = run(fake.open(), small(castings, strategy="random"))
    assert fake.tracker.alias["casting-defects"] == mine["rounds"][-1]["version"]
    assert "promote" not in mine
    assert other["promote"].endswith(f"--version {other['rounds'][-1]['version']}")


def test_a_version_that_a_person_rolled_back_is_not_pushed_forward_again(
    fake: FakeContext, castings: Path
):
    options = small(castings)
    run(fake.open(), options)
    assert roll_back(fake.tracker, "casting-defects").number == "2"
    assert roll_back(fake.tracker, "casting-defects").number == "1"
    with pytest.raises(VersionNotFound, match=r"version 1 .* is the first that was current"):
        roll_back(fake.tracker, "casting-defects")
    run(fake.open(), options)
    assert fake.tracker.alias["casting-defects"] == "1"


def test_a_version_that_a_person_left_for_an_older_one_is_not_pushed_forward_again(
    fake: FakeContext, castings: Path
):
    run(fake.open(), small(castings))
    assert promote(fake.tracker, "casting-defects", "2").number == "2"
    run(fake.open(), small(castings))
    assert fake.tracker.alias["casting-defects"] == "2"
    run(fake.open(), small(castings, rounds=4))
    assert fake.tracker.alias["casting-defects"] == "4"  # a new version is news


def test_a_version_that_became_current_meanwhile_is_not_displaced(
    fake: FakeContext, castings: Path, monkeypatch: pytest.MonkeyPatch
):
    other = run(fake.open(), small(castings, strategy="random", rounds=1))
    version = other["rounds"][0]["version"]
    del fake.tracker.alias["casting-defects"]
    monkeypatch.setattr(
        fake.tracker, "load", lambda _: fake.tracker.alias.setdefault("casting-defects", version)
    )
    mine = run(fake.open(), small(castings, rounds=1))
    assert fake.tracker.alias["casting-defects"] == version
    assert mine["promote"].endswith(f"--version {mine['rounds'][0]['version']}")


def test_current_is_not_taken_from_a_campaign_of_the_same_name_in_another_ledger(
    fake: FakeContext, castings: Path, tmp_path: Path
):
    mine = run(fake.open(), small(castings, rounds=2))
    (tmp_path / "elsewhere").mkdir()
    elsewhere = FakeContext(tmp_path / "elsewhere", fake.tracker)
    theirs = run(elsewhere.open(), small(castings, rounds=1))
    elsewhere.ledger.close()
    assert theirs["campaign"] == mine["campaign"]
    assert fake.tracker.alias["casting-defects"] == mine["rounds"][-1]["version"]
    assert "promote" in theirs


def test_an_alias_moved_by_hand_stays_where_it_was_put_and_that_is_said(
    fake: FakeContext, castings: Path
):
    run(fake.open(), small(castings, rounds=2))
    fake.tracker.alias["casting-defects"] = "1"  # as MLflow's own pages do it
    result = run(fake.open(), small(castings, rounds=2))
    assert fake.tracker.alias["casting-defects"] == "1"
    assert result["promote"].endswith("--version 2")
    moved = [line for line in fake.said if "moved from version 2 to 1 by a person" in line]
    assert len(moved) == 1
    run(fake.open(), small(castings))
    assert fake.tracker.alias["casting-defects"] == "3"  # a new version is news


def test_an_alias_taken_away_by_hand_stays_away_and_that_is_said(
    fake: FakeContext, castings: Path
):
    run(fake.open(), small(castings, rounds=2))
    del fake.tracker.alias["casting-defects"]
    assert run(fake.open(), small(castings, rounds=2))["promote"].endswith("--version 2")
    assert fake.tracker.alias == {}
    assert any("was taken away by a person" in line for line in fake.said)


def test_an_alias_put_by_hand_where_it_belongs_may_be_moved_by_hand_too(
    fake: FakeContext, castings: Path
):
    run(fake.open(), small(castings, rounds=1))
    version, _ = fake.tracker.versions[0]
    del version.tags["was_current"]  # type: ignore[attr-defined]
    run(fake.open(), small(castings, rounds=1))
    del fake.tracker.alias["casting-defects"]
    run(fake.open(), small(castings, rounds=1))
    assert fake.tracker.alias == {}
