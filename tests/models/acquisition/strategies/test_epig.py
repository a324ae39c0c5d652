import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import uncertainty
from models.acquisition.candidates import Candidates
from models.acquisition.strategies import epig as module
from models.acquisition.strategies.bald import bald
from models.acquisition.strategies.epig import epig
from models.acquisition.strategy_checks import random_candidates
from tests.models.acquisition.pools import indices, ranked, seeded


def test_epig_prefers_what_tells_about_the_pool_to_what_tells_about_itself():
    """Two castings are as much disputed; the passes that dispute one dispute the rest as well."""
    odd = [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]
    like_the_rest = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]
    rest = [[0.8, 0.2], [0.8, 0.2], [0.2, 0.8], [0.2, 0.8]]
    candidates = Candidates(
        8, torch.tensor([odd, like_the_rest, *[rest] * 6], dtype=torch.float64)
    )
    assert indices(bald(candidates, 1, seeded())) == [0]
    assert indices(epig(candidates, 1, seeded())) == [1]


def test_epig_takes_evenly_spaced_targets_of_a_large_pool(monkeypatch):
    monkeypatch.setattr(module, "_TARGET_LABELS", 12)
    candidates = random_candidates(15)
    targets = candidates.probs_N_K_C[[0, 3, 7, 11]]
    information = uncertainty.expected_predictive_information(candidates.probs_N_K_C, targets)
    assert indices(epig(candidates, 15, seeded())) == ranked(information)


def mutual_information(one, other):
    """Of the labels of two castings `[K, C]`."""
    joint = np.mean([np.outer(a, b) for a, b in zip(one, other, strict=True)], axis=0)
    apart = np.outer(one.mean(axis=0), other.mean(axis=0))
    return (joint * np.log(joint / apart)).sum()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_the_order_is_that_of_numpy_pair_by_pair(seed, classes):
    candidates = random_candidates(15, seed=seed, classes=classes)
    posterior = candidates.probs_N_K_C.numpy()
    wanted = [np.mean([mutual_information(a, b) for b in posterior]) for a in posterior]
    assert indices(epig(candidates, 15, seeded())) == ranked(wanted)
