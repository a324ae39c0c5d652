import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.acquisition.candidates import Candidates
from models.acquisition.strategies.uncertainty_sampling import (
    dbal,
    ensemble,
    entropy,
    least_confidence,
    margin,
    variation_ratio,
)
from models.acquisition.strategy_checks import random_candidates
from tests.models.acquisition.pools import indices, ranked, seeded

quick = settings(max_examples=25, deadline=None)


def test_members_that_vote_alike_are_told_apart_by_entropy():
    split_sharp = [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]
    split_soft = [[0.6, 0.4], [0.4, 0.6], [0.6, 0.4]]
    united = [[0.5, 0.5], [0.51, 0.49], [0.5, 0.5]]
    candidates = Candidates(
        3, torch.tensor([united, split_sharp, split_soft], dtype=torch.float64)
    )
    assert indices(ensemble(candidates, 3, seeded())) == [2, 1, 0]
    assert indices(variation_ratio(candidates, 3, seeded())) == [1, 2, 0]


def xlogx(probs):
    return np.where(probs > 0, probs * np.log(np.where(probs > 0, probs, 1)), 0)


def numpy_variation_ratio(posterior, _plain):
    ratios = []
    for passes in posterior:
        votes = [int(np.argmax(probs)) for probs in passes]
        ratios.append(1 - max(votes.count(c) for c in set(votes)) / len(votes))
    return np.array(ratios)


ORACLES = {
    least_confidence: lambda _, plain: 1 - plain.max(axis=1),
    margin: lambda _, plain: -(np.sort(plain)[:, -1] - np.sort(plain)[:, -2]),
    entropy: lambda _, plain: -xlogx(plain).sum(axis=1),
    dbal: lambda posterior, _: -xlogx(posterior.mean(axis=1)).sum(axis=1),
    variation_ratio: numpy_variation_ratio,
    ensemble: lambda posterior, _: (
        1000 * numpy_variation_ratio(posterior, None) - xlogx(posterior.mean(axis=1)).sum(axis=1)
    ),
}


@pytest.mark.parametrize("strategy", ORACLES)
@quick
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_the_order_is_that_of_numpy(strategy, seed, classes):
    candidates = random_candidates(15, seed=seed, classes=classes)
    posterior, plain = candidates.probs_N_K_C.numpy(), candidates.deterministic_N_C.numpy()
    chosen = indices(strategy(candidates, 15, seeded()))
    assert chosen == ranked(ORACLES[strategy](posterior, plain))


@quick
@given(st.lists(st.integers(0, 100), min_size=2, max_size=15, unique=True))
def test_for_two_classes_three_strategies_choose_alike(hundredths):
    kept = [h for h in hundredths if 100 - h not in hundredths or h <= 50]
    first = torch.tensor(kept, dtype=torch.float64) / 100
    candidates = Candidates(len(kept), deterministic_N_C=torch.stack([first, 1 - first], dim=1))
    three = (entropy, least_confidence, margin)
    assert len({tuple(indices(s(candidates, len(kept), seeded()))) for s in three}) == 1
