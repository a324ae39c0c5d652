import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from models.acquisition.selection import choose_batch
from models.acquisition.strategies.coreset import coreset
from tests.models.acquisition.pools import chosen, lying_at, points, seeded, split_by_label

quick = settings(max_examples=25, deadline=None)


def test_coreset_goes_where_nothing_is_labelled_or_picked():
    candidates = lying_at([[0, 1], [0, 9], [0, 5], [0, -4]], labelled=[[0, 0]])
    assert chosen(coreset, candidates, 4) == [1, 2, 3, 0]


def test_coreset_begins_in_the_middle_when_nothing_is_labelled():
    assert chosen(coreset, lying_at([[0, 0], [4, 0], [5, 0], [11, 0]]), 3) == [2, 3, 0]


def test_coreset_keeps_away_from_what_the_batch_holds_already():
    candidates = lying_at([[0, 1], [0, 9], [0, 8.9], [0, -4]], labelled=[[0, 0]])
    batch = choose_batch(coreset, candidates, ["a", "b", "b", "b"], 3, seeded())
    assert batch == [1, 0, 3]  # 2 and 3 show the part of 1; 2 lies beside 1, 3 does not


@quick
@given(st.integers(0, 10_000), st.integers(5, 9), st.integers(1, 4), st.booleans())
def test_coreset_leaves_no_casting_farther_than_twice_the_optimum(seed, count, size, labels):
    pool, known = points(count, seed), points(2 * labels, seed + 1)
    reach = cdist(pool, torch.cat([pool, known]))

    def farthest(centres):
        return reach[:, [*centres, *range(count, count + len(known))]].min(axis=1).max()

    best = min(farthest(centres) for centres in itertools.combinations(range(count), size))
    assert farthest(chosen(coreset, lying_at(pool, known), size)) <= 2 * best + 1e-6


def test_coreset_chooses_what_scikit_activeml_chooses(goldens):
    pool, _, candidates = split_by_label(goldens)
    theirs = goldens["scikit_activeml"]["coreset"]
    assert [pool[i] for i in chosen(coreset, candidates, len(theirs))] == theirs
