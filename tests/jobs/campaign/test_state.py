"""Campaigns as the ledger tells them."""

from pathlib import Path

import pytest

from jobs.campaign.opening import open_campaign
from jobs.campaign.run import run
from jobs.campaign.state import recorded_options, state_without_images
from jobs.options import RunOptions
from models.errors import CampaignError
from tests.jobs.campaigns import small
from tests.jobs.fakes import FakeContext, write_castings


def test_the_only_unfinished_campaign_is_the_default(fake: FakeContext, castings: Path):
    context = fake.open()
    with pytest.raises(CampaignError, match="0 unfinished campaigns"):
        recorded_options(context.ledger, "auto")
    done = run(context, small(castings, rounds=1, strategy="random"))
    run(context, small(castings, rounds=1))
    open_campaign(context, small(castings, rounds=2))
    assert recorded_options(context.ledger, "auto").name == "castings-bald-0"
    assert recorded_options(context.ledger, done["campaign"]).strategy == "random"
    with pytest.raises(CampaignError, match="no campaign nope in the ledger; there are: castings"):
        recorded_options(context.ledger, "nope")


def test_the_only_campaign_is_meant_though_it_has_ended(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, rounds=1))
    assert recorded_options(fake.ledger, "auto").name == "castings-bald-0"
    run(fake.open(), small(castings, rounds=1, strategy="random"))
    with pytest.raises(
        CampaignError, match=r"0 unfinished.*has: castings-bald-0, castings-random"
    ):
        recorded_options(fake.ledger, "auto")


def awaiting(fake: FakeContext, folder: Path) -> RunOptions:
    """A campaign on castings without labels that awaits its first batch."""
    data = write_castings(folder / "pool", {"shots": 30}) / "shots"
    options = small(data, classes="ok,def", audit_share=0.0)
    assert run(fake.open(), options)["state"] == "awaiting labels"
    return options


def test_where_a_campaign_stands_is_told_without_reading_images_while_files_lie_where_they_were(
    fake: FakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    options = awaiting(fake, tmp_path)
    whole = open_campaign(fake.open(), options).state
    monkeypatch.setattr("jobs.datasets.reader.decode", lambda *_: pytest.fail("an image was read"))
    assert state_without_images(fake.ledger, options) == whole


def test_a_file_that_was_moved_or_replaced_makes_the_data_set_be_read(
    fake: FakeContext, tmp_path: Path
):
    options = awaiting(fake, tmp_path)
    session = open_campaign(fake.open(), options)
    asked = session.state.unlabelled()[0].casting
    file = Path(options.data) / session.campaign.casting(asked).paths[0]
    content = file.read_bytes()
    file.write_bytes(b"another photograph")
    assert state_without_images(fake.ledger, options) is None
    file.unlink()
    assert state_without_images(fake.ledger, options) is None
    file.write_bytes(content)
    assert state_without_images(fake.ledger, options) == session.state


def test_where_nothing_is_awaited_no_file_is_looked_at(fake: FakeContext, castings: Path):
    options = small(castings, rounds=1)
    run(fake.open(), options)
    for file in castings.rglob("*.png"):
        file.unlink()
    state = state_without_images(fake.ledger, options)
    assert state is not None
    assert state.unlabelled() == []
