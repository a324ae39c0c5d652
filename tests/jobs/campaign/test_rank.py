"""Every strategy of the table in a campaign, and the first batch before there is a model."""

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.campaign import learn, rank
from jobs.campaign.run import run
from jobs.options import RunOptions
from models.acquisition.strategies.table import STRATEGIES, find_strategy
from models.acquisition.strategy import needs_of
from models.errors import DataError
from models.images import Preprocessing, at_model_size
from tests.jobs.fakes import FakeContext


@pytest.fixture
def options(castings: Path) -> RunOptions:
    return RunOptions(
        data=str(castings), rounds=2, batch=6, initial=10, passes=6, steps=2, image_size=32
    )


@pytest.mark.parametrize("name", [*sorted(STRATEGIES.keys() - {"ensemble"}), "diverse-bald"])
def test_a_strategy_is_sent_what_it_needs_and_nothing_more(
    fake: FakeContext, options: RunOptions, name: str
):
    result = run(fake.open(), replace(options, strategy=name))
    assert [r["labels"] for r in result["rounds"]] == [10, 16]
    needs = set(needs_of(find_strategy(name.removeprefix("diverse-"))))
    if name.startswith("diverse-"):
        needs |= {"embeddings_N_F"}
    asked = {kind for request in fake.scorer.requests for kind in request.include}
    wanted = {
        "posterior": "probs_N_K_C" in needs,
        "embedding": bool(needs & {"embeddings_N_F", "labelled_embeddings_M_F"}),
    }
    assert asked == {kind for kind, is_wanted in wanted.items() if is_wanted}
    of_the_model = needs - {"parts_N", "images", "labelled_classes_M"}
    assert bool(fake.scorer.requests) == bool(of_the_model)


def test_an_ensemble_is_one_version_whose_passes_are_its_members(
    fake: FakeContext, options: RunOptions, one_thread: None
):
    result = run(fake.open(), replace(options, strategy="ensemble"))
    predictor = fake.tracker.predictor("casting-defects", result["rounds"][0]["version"])
    assert predictor.network.spec.members == learn.MEMBERS
    alone = run(fake.open(), replace(options, strategy="bald", rounds=1))
    single = fake.tracker.predictor("casting-defects", alone["rounds"][0]["version"])
    first = predictor.network.head.weight
    assert first.equal(single.network.head.weight)


def test_large_photographs_are_sent_at_the_models_size_and_rank_as_they_would_themselves(
    fake: FakeContext, options: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    """The castings of 32 pixels that the fixture makes, seen by a model of 16."""
    monkeypatch.setattr("jobs.campaign.session._SAMPLE", 4)  # few are embedded by the job itself
    result = run(fake.open(), replace(options, image_size=16, campaign="small"))
    photographs = [file.read_bytes() for file in Path(options.data).rglob("*.png")]
    small = {len(at_model_size(photograph, Preprocessing(16))) for photograph in photographs}
    assert set(fake.scorer.sent) == small
    monkeypatch.setattr(rank, "at_model_size", lambda data, _: data)
    fake.scorer.sent.clear()
    whole = run(fake.open(), replace(options, image_size=16, campaign="whole"))
    assert set(fake.scorer.sent) <= {len(photograph) for photograph in photographs} - small
    asked = [
        [(a.casting, a.round, a.rank) for a in fake.ledger.asked(r["campaign"])]
        for r in (result, whole)
    ]
    assert asked[0] == asked[1]


def test_a_cold_start_chooses_the_first_batch_without_a_model_or_a_label(
    fake: FakeContext, options: RunOptions
):
    context = fake.open()
    batches = {}
    for start in ("random", "typiclust", "novelty"):
        result = run(context, replace(options, rounds=1, cold_start=start, campaign=start))
        asked = context.ledger.asked(result["campaign"])
        batches[start] = [a.casting for a in asked if a.use == "train"]
        assert len(batches[start]) == 8
    assert len({tuple(batch) for batch in batches.values()}) == len(batches)
    assert fake.scorer.requests == []


def test_a_strategy_that_needs_a_model_cannot_start_cold(fake: FakeContext, options: RunOptions):
    with pytest.raises(DataError, match=r"--cold-start bald: needs a model.*random.*typiclust"):
        run(fake.open(), replace(options, cold_start="bald"))
