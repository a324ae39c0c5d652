"""Asking after every few labels."""

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.campaign.run import run
from jobs.options import RunOptions
from models.errors import DataError
from tests.jobs.fakes import FakeContext


@pytest.fixture
def options(castings: Path) -> RunOptions:
    return RunOptions(
        data=str(castings), strategy="margin", rounds=2, batch=8, initial=10, image_size=32,
        audit_share=0.0, passes=6,
    )  # fmt: skip


def batch(fake: FakeContext, options: RunOptions) -> list[str]:
    run(fake.open(), options)
    return [a.casting for a in fake.ledger.asked(options.name) if a.round == 1]


def test_a_batch_begins_as_without_refits_and_goes_on_otherwise(
    fake: FakeContext, options: RunOptions
):
    plain = batch(fake, replace(options, campaign="plain"))
    refitted = batch(fake, replace(options, campaign="refitted", refit_every=2))
    assert len(set(refitted)) == 8
    assert refitted[:2] == plain[:2]
    assert refitted != plain


def test_one_refit_per_batch_is_none(fake: FakeContext, options: RunOptions):
    plain = batch(fake, replace(options, campaign="plain"))
    assert batch(fake, replace(options, campaign="whole", refit_every=8)) == plain


@pytest.mark.parametrize("strategy", ["bald", "badge", "coreset", "ensemble", "random"])
def test_every_kind_of_strategy_can_be_asked_after_every_label(
    fake: FakeContext, options: RunOptions, strategy: str
):
    chosen = batch(fake, replace(options, strategy=strategy, refit_every=1))
    assert len(set(chosen)) == 8


def test_the_same_batch_is_chosen_again(fake: FakeContext, options: RunOptions, tmp_path: Path):
    first = batch(fake, replace(options, refit_every=3))
    (tmp_path / "again").mkdir()
    other = FakeContext(tmp_path / "again")
    assert batch(other, replace(options, refit_every=3)) == first
    other.ledger.close()


def test_each_casting_is_chosen_by_what_the_ones_before_it_taught(
    fake: FakeContext, options: RunOptions
):
    """The next casting of a batch is what a campaign with that many more labels asks for first."""
    refitted = batch(fake, replace(options, campaign="refitted", refit_every=1))
    one_at_a_time = replace(options, campaign="single", batch=1, rounds=4)
    run(fake.open(), one_at_a_time)
    asked = [a.casting for a in fake.ledger.asked("single") if a.round > 0]
    assert refitted[:3] == asked


def test_refits_are_of_a_head(options: RunOptions):
    with pytest.raises(DataError, match="--refit-every 5 with --train all"):
        replace(options, train="all", refit_every=5)


def test_weights_that_were_taught_nothing_are_not_frozen(options: RunOptions):
    with pytest.raises(DataError, match="--weights scratch with --train head"):
        replace(options, weights="scratch")


def test_a_batch_without_labels_is_chosen_by_the_head_of_the_round(
    fake: FakeContext, options: RunOptions, castings: Path
):
    for label in ("ok", "def"):
        for file in sorted((castings / label).iterdir())[10:]:
            (castings / "unlabelled").mkdir(exist_ok=True)
            file.rename(castings / "unlabelled" / f"{label}{file.name}")
    result = run(fake.open(), replace(options, initial=16, refit_every=2))
    assert result["state"] in {"awaiting labels", "finished"}
