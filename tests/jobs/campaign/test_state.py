"""Campaigns as the ledger tells them."""

from pathlib import Path

import pytest

from jobs.campaign.opening import open_campaign
from jobs.campaign.run import run
from jobs.campaign.state import recorded_options
from models.errors import CampaignError
from tests.jobs.campaigns import small
from tests.jobs.fakes import FakeContext


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
