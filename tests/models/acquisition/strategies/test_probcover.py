import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from models.acquisition.selection import choose_batch
from models.acquisition.strategies import probcover as module
from models.acquisition.strategies.probcover import probcover, pure_radius
from tests.models.acquisition.pools import (
    chosen,
    in_kinds,
    lying_at,
    points,
    seeded,
    split_by_label,
)

quick = settings(max_examples=25, deadline=None)


def test_the_radius_is_the_largest_at_which_balls_are_pure():
    labels = torch.tensor([0] * 20 + [1] * 20)
    line = torch.arange(40, dtype=torch.float64).unsqueeze(1)
    assert pure_radius(line, labels) == 2  # the two at the border are one in twenty, four are not
    assert pure_radius(line[:20], labels[:20]) == torch.inf


@quick
@given(st.integers(0, 10_000))
def test_beyond_the_radius_less_than_95_percent_of_the_balls_are_pure(seed):
    cloud, labels = points(60, seed), (points(60, seed + 1)[:, 0] > 0).long()
    radius = pure_radius(cloud, labels)
    distances, mixed = cdist(cloud, cloud), labels[:, None] != labels

    def purity(delta):
        return 1 - ((distances < delta) & mixed.numpy()).any(axis=1).mean()

    assert purity(radius * (1 - 1e-6)) >= 0.95
    assert purity(radius * (1 + 1e-6)) < 0.95


def plainly_covered(pool, known, delta, size):
    """Greedy maximum module, counted anew for each pick."""
    within = cdist(pool, pool) < delta
    uncovered = ~(cdist(pool, known) < delta).any(axis=1)
    batch = []
    for _ in range(size):
        gains = (within & uncovered).sum(axis=1)
        gains[batch] = -1
        batch.append(int(gains.argmax()))
        uncovered &= ~within[batch[-1]]
    return batch


@quick
@given(st.integers(0, 10_000), st.floats(0.05, 1.5), st.integers(0, 5))
def test_probcover_covers_as_greedy_search_does(seed, delta, labels):
    candidates = lying_at(points(40, seed, 3), points(labels, seed + 1, 3))
    pool, known = (
        torch.nn.functional.normalize(embeddings)
        for embeddings in (candidates.embeddings_N_F, candidates.labelled_embeddings_M_F)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "pure_radius", lambda *_: delta)
        patch.setattr(module, "_ROWS", 16)
        assert chosen(probcover, candidates, 12) == plainly_covered(pool, known, delta, 12)


@quick
@given(st.integers(0, 10_000), st.floats(0.1, 1.0))
def test_probcover_covers_more_than_63_percent_of_what_the_best_three_balls_do(seed, delta):
    candidates = lying_at(points(10, seed, 3))
    pool = torch.nn.functional.normalize(candidates.embeddings_N_F)
    within = cdist(pool, pool) < delta

    def covered(balls):
        return within[list(balls)].any(axis=0).sum()

    best = max(covered(balls) for balls in itertools.combinations(range(10), 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "pure_radius", lambda *_: delta)
        assert covered(chosen(probcover, candidates, 3)) >= (1 - 1 / np.e) * best


def test_probcover_has_no_tail_that_is_not_covered(monkeypatch):
    """The authors' code leaves out what does not fill a slice of distances."""
    monkeypatch.setattr(module, "_ROWS", 8)
    pool = torch.eye(10, dtype=torch.float64)
    pool[7:] = pool[9]  # the largest ball is that of the last three
    monkeypatch.setattr(module, "pure_radius", lambda *_: 0.5)
    assert chosen(probcover, lying_at(pool), 2) == [7, 0]


def test_probcover_goes_on_where_the_batch_covers_nothing(monkeypatch):
    monkeypatch.setattr(module, "pure_radius", lambda *_: 0.5)
    pool, kinds = in_kinds([5, 4, 3])
    parts = ["one" if kind < 2 else str(i) for i, kind in enumerate(kinds.tolist())]
    batch = choose_batch(probcover, lying_at(pool), parts, 3, seeded())
    assert kinds[batch].tolist()[:2] == [0, 2]


def test_first_gains_of_probcover_are_those_of_scikit_activeml(goldens):
    pool, _, candidates = split_by_label(goldens)
    theirs = np.array(goldens["scikit_activeml"]["probcover_gains"])[pool]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "pure_radius", lambda *_: goldens["delta"])
        first = chosen(probcover, candidates, 1)
    assert first == [int(theirs.argmax())]


def test_a_pool_too_large_to_cover_all_is_covered_by_a_sample(monkeypatch):
    monkeypatch.setattr(module, "_COVERED", 12)
    pool, kinds = in_kinds([18, 12, 6])
    assert sorted(kinds[chosen(probcover, lying_at(pool), 3)].tolist()) == [0, 1, 2]
