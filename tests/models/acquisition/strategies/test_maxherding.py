import itertools
from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from models.acquisition.selection import choose_batch
from models.acquisition.strategies import maxherding as module
from models.acquisition.strategies.maxherding import maxherding, uherding
from tests.models.acquisition.pools import (
    chosen,
    in_kinds,
    lying_at,
    points,
    seeded,
    split_by_label,
)

quick = settings(max_examples=25, deadline=None)


def unsure(candidates, *margins):
    upper = (1 + torch.tensor(margins, dtype=torch.float64)) / 2
    return replace(candidates, deterministic_N_C=torch.stack([upper, 1 - upper], dim=1))


def plainly_herded(pool, known, weights, radius, size):
    """Every gain computed anew for each pick, from the whole kernel; two may gain alike."""
    kernel = np.exp(-((cdist(pool, pool) / radius) ** 2))
    covered = np.exp(-((cdist(pool, known) / radius) ** 2)).max(axis=1, initial=0)
    batch = []
    for _ in range(size):
        gains = np.maximum(kernel - covered, 0) @ weights
        gains[batch] = -1
        batch.append(int(gains.round(6).argmax()))
        covered = np.maximum(covered, kernel[batch[-1]])
    return batch


def test_the_middle_of_the_larger_kind_comes_first_and_then_the_other_kind():
    angles = torch.tensor([0.0, 0.2, 0.4, 3.0, 3.1])
    candidates = lying_at(torch.stack([angles.cos(), angles.sin()], dim=1))
    assert chosen(maxherding, candidates, 2) in ([1, 3], [1, 4])


def test_a_labelled_casting_counts_as_chosen():
    pool, kinds = in_kinds([9, 5, 7])
    candidates = lying_at(pool, labelled=torch.eye(3)[:1])
    assert kinds[chosen(maxherding, candidates, 2)].tolist() == [2, 1]


def test_what_the_batch_holds_counts_as_chosen():
    pool, kinds = in_kinds([12, 9, 7])
    parts = ["one" if kind < 2 else str(i) for i, kind in enumerate(kinds.tolist())]
    batch = choose_batch(maxherding, lying_at(pool), parts, 3, seeded())
    assert kinds[batch].tolist()[:2] == [0, 2]


def test_uherding_covers_what_the_model_is_unsure_of():
    pool, kinds = in_kinds([9, 5, 7])
    margins = [0.0 if kind == 1 else 0.99 for kind in kinds.tolist()]
    assert kinds[chosen(uherding, unsure(lying_at(pool), *margins), 1)].tolist() == [1]


def test_uherding_of_close_labels_ranks_by_margin():
    """Kernels as narrow as the labels are close cover nothing but the casting itself."""
    candidates = lying_at(torch.eye(5), labelled=[[1, 1, 1, 1, 1], [1, 1, 1, 1, 1.1]])
    assert chosen(uherding, unsure(candidates, 0.5, 0.2, 0.9, 0.1, 0.3), 5) == [3, 1, 4, 0, 2]


def test_labels_that_coincide_leave_the_kernel_as_wide_as_it_was():
    alike = lying_at(points(20, 1, 4), labelled=[[1, 1, 0, 0], [1, 1, 0, 0]])
    candidates = unsure(alike, *[0.3] * 20)
    assert chosen(uherding, candidates, 5) == chosen(maxherding, candidates, 5)


@quick
@given(st.integers(0, 10_000), st.integers(0, 5))
def test_the_batch_is_that_of_greedy_search(seed, labels):
    pool, known = points(40, seed, 8), points(labels, seed + 1, 8)
    margins = points(40, seed + 2, 1)[:, 0].sigmoid()
    candidates = unsure(lying_at(pool, known), *margins.tolist())
    pool, known = (torch.nn.functional.normalize(embeddings) for embeddings in (pool, known))
    assert chosen(maxherding, candidates, 12) == plainly_herded(pool, known, np.ones(40), 1, 12)
    between = cdist(known, known)[np.triu_indices(labels, 1)]
    radius = between.min() if labels > 1 else 1
    expected = plainly_herded(pool, known, 1 - margins.numpy(), radius, 12)
    assert chosen(uherding, candidates, 12) == expected


@quick
@given(st.integers(0, 10_000))
def test_three_picks_cover_more_than_63_percent_of_what_the_best_three_do(seed):
    candidates = lying_at(points(10, seed, 3))
    pool = torch.nn.functional.normalize(candidates.embeddings_N_F)
    kernel = np.exp(-(cdist(pool, pool) ** 2))

    def covered(picks):
        return kernel[list(picks)].max(axis=0).sum()

    best = max(covered(picks) for picks in itertools.combinations(range(10), 3))
    assert covered(chosen(maxherding, candidates, 3)) >= (1 - 1 / np.e) * best


def test_maxherding_chooses_what_scikit_activeml_chooses(goldens):
    pool, _, candidates = split_by_label(goldens)
    theirs = goldens["scikit_activeml"]["maxherding"]
    assert [pool[i] for i in chosen(maxherding, candidates, len(theirs))] == theirs


def test_a_pool_too_large_to_cover_all_is_covered_by_a_sample(monkeypatch):
    monkeypatch.setattr(module, "_COVERED", 12)
    pool, kinds = in_kinds([18, 12, 6])
    assert sorted(kinds[chosen(maxherding, lying_at(pool), 3)].tolist()) == [0, 1, 2]
