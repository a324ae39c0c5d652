"""A data set that lies elsewhere by now."""

import shutil
from pathlib import Path

import pytest

from jobs.campaign.moved import continued
from jobs.campaign.opening import look_up
from jobs.campaign.run import run
from jobs.campaign.state import recorded_options
from models.errors import CampaignError
from tests.jobs.campaigns import small
from tests.jobs.fakes import FakeContext, write_castings


def _sides(fake: FakeContext, source: Path) -> dict[str, str]:
    placed = fake.ledger.sides(str(source), "given/0/castings")
    return {casting: side.side for casting, side in placed.items()}


def test_a_campaign_goes_on_where_its_castings_lie_now(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, rounds=1, campaign="c"))
    sides = _sides(fake, castings)
    moved = castings.rename(castings.parent / "elsewhere")
    result = run(fake.open(), small(moved, rounds=2, campaign="c"))
    assert [r["labels"] for r in result["rounds"]] == [10, 15]
    (said,) = [line for line in fake.said if "lie in" in line]
    assert said.startswith(f"40 of the 40 castings of {castings} lie in {moved} now: campaign c")
    assert sides
    assert _sides(fake, moved) == _sides(fake, castings) == sides
    assert recorded_options(fake.ledger, "c").data == str(moved)  # for every other command


def test_another_campaign_on_it_where_it_lies_now_shares_its_labels(
    fake: FakeContext, castings: Path
):
    run(fake.open(), small(castings, rounds=1, campaign="c"))
    moved = castings.rename(castings.parent / "elsewhere")
    run(fake.open(), small(moved, rounds=1, campaign="c"))
    sets = {look_up(fake.open(), small(moved, campaign=name)).label_set for name in ("c", "d")}
    assert sets == {f"{castings}: def, ok"}


def test_a_link_in_its_old_place_is_followed(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, rounds=1, campaign="c"))
    castings.symlink_to(castings.rename(castings.parent / "elsewhere"))
    assert len(run(fake.open(), small(castings, rounds=2, campaign="c"))["rounds"]) == 2


def test_there_and_back_again(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, rounds=1, campaign="c"))
    moved = castings.rename(castings.parent / "elsewhere")
    run(fake.open(), small(moved, rounds=1, campaign="c"))
    moved.rename(castings)
    assert len(run(fake.open(), small(castings, rounds=2, campaign="c"))["rounds"]) == 2
    assert recorded_options(fake.ledger, "c").data == str(castings)


def test_a_few_castings_that_were_sorted_out_do_not_matter_and_others_may_be_new(
    fake: FakeContext, castings: Path
):
    run(fake.open(), small(castings, rounds=1, campaign="c"))
    moved = castings.rename(castings.parent / "elsewhere")
    asked = {a.casting for a in fake.ledger.asked("c")}
    paths = [s.path for c, s in fake.ledger.seen(str(castings)).items() if c not in asked]
    for path in paths[:4]:
        (moved / path).unlink()
    write_castings(moved, {"ok": 5}, start=100)
    assert len(run(fake.open(), small(moved, rounds=2, campaign="c"))["rounds"]) == 2


def test_another_data_set_is_refused_with_the_numbers(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, rounds=1, campaign="c"))
    other = write_castings(castings.parent / "other", {"ok": 20, "def": 20}, start=10)
    with pytest.raises(CampaignError, match=r"of the 40 castings there 20 are in .*other"):
        run(fake.open(), small(other, rounds=2, campaign="c"))
    with pytest.raises(CampaignError, match="--batch is 6"):  # before anything is read
        run(fake.open(), small(castings.parent / "nothing", batch=6, campaign="c"))


def test_the_same_command_with_the_new_path_means_the_campaign_named_after_the_old(
    fake: FakeContext, castings: Path
):
    options = small(castings, rounds=1)
    assert continued(fake.open(), options) == options
    run(fake.open(), options)
    assert continued(fake.open(), options) == options
    copy = Path(shutil.copytree(castings, castings.parent / "copy"))
    assert continued(fake.open(), small(copy)).name == "copy-bald-0"  # the old one is still there
    moved = castings.rename(castings.parent / "elsewhere")
    assert continued(fake.open(), small(moved, rounds=2)).name == "castings-bald-0"
    assert continued(fake.open(), small(moved, seed=1)).name == "elsewhere-bald-1"
    castings.symlink_to(moved)
    assert continued(fake.open(), small(castings, rounds=2)).name == "castings-bald-0"
