import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from models import uncertainty
from models.acquisition.candidates import Candidates
from models.acquisition.strategies.bald import bald, power_bald
from models.acquisition.strategies.uncertainty_sampling import dbal
from models.acquisition.strategy_checks import random_candidates
from tests.models.acquisition.pools import indices, ranked, seeded


def test_bald_and_dbal_part_ways_on_a_casting_that_is_ambiguous_in_every_pass():
    ambiguous, disputed = [[0.5, 0.5], [0.5, 0.5]], [[0.95, 0.05], [0.1, 0.9]]
    candidates = Candidates(2, torch.tensor([ambiguous, disputed], dtype=torch.float64))
    assert indices(dbal(candidates, 1, seeded())) == [0]
    assert indices(bald(candidates, 1, seeded())) == [1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_the_order_is_that_of_numpy(seed, classes):
    candidates = random_candidates(15, seed=seed, classes=classes)
    posterior = candidates.probs_N_K_C.numpy()
    mean = posterior.mean(axis=1)
    expected_N = -(posterior * np.log(posterior)).sum(axis=2).mean(axis=1)
    wanted_N = -(mean * np.log(mean)).sum(axis=1) - expected_N
    assert indices(bald(candidates, 15, seeded())) == ranked(wanted_N)


def disputed(bald_N):
    """Two-class, two-pass posteriors (half ± d) whose mutual information is as given."""

    def gap(wanted):
        low, high = 0.0, 0.5
        for _ in range(60):
            middle = (low + high) / 2
            p, q = 0.5 + middle, 0.5 - middle
            information = math.log(2) + sum(v * math.log(v) for v in (p, q) if v > 0)
            low, high = (middle, high) if information < wanted else (low, middle)
        return low

    rows = [[[0.5 + gap(b), 0.5 - gap(b)], [0.5 - gap(b), 0.5 + gap(b)]] for b in bald_N]
    return Candidates(len(rows), torch.tensor(rows, dtype=torch.float64))


def test_power_bald_follows_bald_where_the_gaps_are_huge():
    candidates = disputed([0.0, 0.69, 4e-4])
    assert uncertainty.bald(candidates.probs_N_K_C).tolist() == pytest.approx(
        [0, 0.69, 4e-4], abs=1e-9
    )
    for seed in range(10):
        assert indices(power_bald(candidates, 3, seeded(seed))) == [1, 2, 0]


def test_power_bald_takes_the_first_casting_in_proportion_to_bald():
    shares = [0.1, 0.2, 0.3, 0.4]
    candidates, generator = disputed([0.6 * s for s in shares]), seeded(1)
    first = [int(power_bald(candidates, 1, generator)[0]) for _ in range(3000)]
    counts = [first.count(i) for i in range(4)]
    assert chisquare(counts, [3000 * s for s in shares]).pvalue > 0.001


def test_power_bald_takes_the_second_casting_in_proportion_among_the_rest():
    candidates, generator = disputed([0.06, 0.12, 0.18]), seeded(2)
    pairs = [tuple(indices(power_bald(candidates, 2, generator))) for _ in range(3000)]
    given_two_first = [b for a, b in pairs if a == 2]
    counts = [given_two_first.count(i) for i in (0, 1)]
    total = len(given_two_first)
    assert chisquare(counts, [total / 3, 2 * total / 3]).pvalue > 0.001


def test_with_noise_another_seed_gives_another_batch():
    flat = random_candidates(1).rows([0] * 40)
    first, second = (indices(power_bald(flat, 10, seeded(seed))) for seed in (0, 1))
    assert first != second
