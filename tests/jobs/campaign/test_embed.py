"""What is embedded once is kept, whoever embedded it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jobs.campaign import embed
from jobs.campaign.embed import at_the_start, cold_features, pooled
from jobs.campaign.opening import open_campaign
from jobs.campaign.run import run
from jobs.campaign.session import Session
from jobs.datasets.castings import Casting
from jobs.datasets.reader import DataSet, load_pixels
from jobs.options import RunOptions
from models.errors import CampaignError
from models.images import Preprocessing
from tests.jobs.fakes import FakeContext

CLASSES = ("def", "ok")


@pytest.fixture
def options(castings: Path) -> RunOptions:
    return RunOptions(data=str(castings), rounds=1, batch=4, initial=10, image_size=32)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many castings are decoded at a time."""
    held: list[int] = []

    def load(data: DataSet, some: list[Casting], look: Preprocessing) -> torch.Tensor:
        held.append(len(some))
        return load_pixels(data, some, look)

    monkeypatch.setattr(embed, "load_pixels", load)
    return held


def opened(fake: FakeContext, options: RunOptions) -> Session:
    return open_campaign(fake.open(), options)


def test_castings_are_decoded_a_few_at_a_time_and_once_only(
    fake: FakeContext, options: RunOptions, loaded: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(embed, "MINIBATCH", 3)
    session = opened(fake, options)
    predictor = at_the_start(session, CLASSES, "ok")
    train = [c for c in session.campaign.data.castings if session.campaign.sides[c.id] == "train"]
    assert max(loaded) == 3
    assert sum(loaded) == len(train)
    again = pooled(session.context, session.campaign.data, predictor, train)
    assert sum(loaded) == len(train)
    pixels_N = load_pixels(session.campaign.data, train, predictor.preprocessing)
    assert torch.equal(again, predictor.pool(pixels_N))


def test_another_campaign_on_the_same_castings_embeds_nothing(
    fake: FakeContext, options: RunOptions, loaded: list[int]
):
    run(fake.open(), options)
    count = sum(loaded)
    run(fake.open(), replace(options, campaign="another", strategy="margin"))
    assert sum(loaded) == count


def test_the_pool_says_what_is_usual_and_the_test_side_does_not(
    fake: FakeContext, options: RunOptions
):
    session = opened(fake, options)
    features_N_F = cold_features(session, session.pool_sample())
    torch.testing.assert_close(features_N_F.mean(dim=0), torch.zeros(16), atol=1e-5, rtol=0)
    sides = {session.campaign.sides[casting.id] for casting in session.pool_sample()}
    assert sides == {"train"}


def test_of_a_part_with_many_castings_few_say_what_is_usual(
    fake: FakeContext, options: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    session = opened(fake, options)
    monkeypatch.setattr("jobs.campaign.session._PER_PART", 1)
    monkeypatch.setattr("jobs.campaign.session._SAMPLE", 7)
    sample = session.pool_sample()
    assert len({casting.part_key for casting in sample}) == len(sample) == 7
    assert sample == session.pool_sample()


def test_a_start_that_is_another_one_now_is_refused_with_both_hashes(
    fake: FakeContext, options: RunOptions
):
    run(fake.open(), options)
    fake.ledger.engine.dispose()
    name = options.name
    recorded = fake.ledger.record_start(name, "of no use")
    assert len(recorded) == 64
    session = opened(fake, replace(options, rounds=2))
    changed = fake.open()
    changed = replace(changed, ledger=_Forgetful(fake))  # type: ignore[arg-type]
    with pytest.raises(CampaignError, match=r"surface are now .*began from 0000.*put the old"):
        at_the_start(replace(session, context=changed), CLASSES, "ok")


class _Forgetful:
    """A ledger that has another start on record."""

    def __init__(self, fake: FakeContext) -> None:
        self._fake = fake

    def record_start(self, name: str, sha256: str) -> str:
        return "0" * len(sha256)


def test_weights_from_scratch_see_thumbnails_less_their_mean(
    fake: FakeContext, options: RunOptions
):
    session = opened(fake, replace(options, weights="scratch", train="all"))
    features_N_F = cold_features(session, session.pool())
    assert features_N_F.shape == (len(session.pool()), 256)
    torch.testing.assert_close(features_N_F.mean(dim=0), torch.zeros(256), atol=1e-6, rtol=0)
