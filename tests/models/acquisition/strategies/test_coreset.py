import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import chisquare

from models.acquisition.candidates import Candidates
from models.acquisition.selection import choose_batch
from models.acquisition.strategies import coreset as module
from models.acquisition.strategies.badge import badge
from models.acquisition.strategies.coreset import coreset
from models.acquisition.strategies.probcover import probcover, pure_radius
from models.acquisition.strategies.typiclust import typiclust

quick = settings(max_examples=25, deadline=None)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def points(count, seed=0, features=2):
    return torch.randn(count, features, generator=seeded(seed), dtype=torch.float64)


def lying_at(pool, labelled=(), classes=None):
    pool = torch.as_tensor(pool, dtype=torch.float64)
    labelled = torch.as_tensor(labelled, dtype=torch.float64).reshape(-1, pool.shape[1])
    classes = torch.arange(len(labelled)) % 2 if classes is None else torch.tensor(classes)
    return Candidates(
        len(pool),
        embeddings_N_F=pool,
        labelled_embeddings_M_F=labelled,
        labelled_classes_M=classes,
    )


def chosen(strategy, candidates, size, seed=0):
    return strategy(candidates, size, seeded(seed)).tolist()


def split_by_label(goldens):
    labelled = goldens["labelled"]
    pool = [i for i in range(len(goldens["features"])) if i not in labelled]
    features = goldens["features"]
    return pool, labelled, lying_at(features[pool], features[labelled], [0, 1, 2])


# --- core-set -----------------------------------------------------------------------------------


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

    best = min(farthest(some) for some in itertools.combinations(range(count), size))
    assert farthest(chosen(coreset, lying_at(pool, known), size)) <= 2 * best + 1e-6


def test_coreset_chooses_what_scikit_activeml_chooses(goldens):
    pool, _, candidates = split_by_label(goldens)
    theirs = goldens["scikit_activeml"]["coreset"]
    assert [pool[i] for i in chosen(coreset, candidates, len(theirs))] == theirs


# --- badge --------------------------------------------------------------------------------------


def gradients(verdicts, features):
    """The embeddings `[N, C·F]` written out, one casting after another."""
    written = []
    for probs, feature in zip(verdicts.numpy(), features.numpy(), strict=True):
        residual = probs - np.eye(len(probs))[probs.argmax()]
        written.append(np.concatenate([r * feature for r in residual]))
    return np.stack(written)


def test_badge_draws_by_distances_between_the_gradients_written_out():
    verdicts, features = points(6, 1, 3).softmax(dim=1), points(6, 2, 4)
    candidates = Candidates(6, deterministic_N_C=verdicts, embeddings_N_F=features)
    written, generator = gradients(verdicts, features), seeded(4)
    first = int((written**2).sum(axis=1).argmax())
    chances = ((written - written[first]) ** 2).sum(axis=1)
    counts = np.zeros(6)
    for _ in range(2000):
        pair = badge(candidates, 2, generator).tolist()
        assert pair[0] == first
        counts[pair[1]] += 1
    rest = [i for i in range(6) if i != first]
    assert chisquare(counts[rest], 2000 * chances[rest] / chances.sum()).pvalue > 0.001


def test_badge_begins_like_scikit_activeml_which_then_takes_the_origin_for_a_centre(goldens):
    """So its later chances are those of `drawn by distances` above only where 0 is not nearer."""
    features, theirs = goldens["features"][:30], goldens["scikit_activeml"]
    candidates = Candidates(30, deterministic_N_C=goldens["deterministic"], embeddings_N_F=features)
    first = chosen(badge, candidates, 1)[0]
    assert first == theirs["badge_first"]
    written = gradients(goldens["deterministic"], features)
    nearest = np.minimum(((written - written[first]) ** 2).sum(axis=1), (written**2).sum(axis=1))
    assert theirs["badge_second_chances"] == pytest.approx(nearest / nearest.sum(), abs=1e-9)


def test_badge_does_not_draw_what_the_batch_holds_the_like_of():
    verdicts = torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.4, 0.6]], dtype=torch.float64)
    features = torch.ones(3, 2, dtype=torch.float64)
    candidates = Candidates(3, deterministic_N_C=verdicts, embeddings_N_F=features)
    some = Candidates(
        2,
        deterministic_N_C=verdicts[1:],
        embeddings_N_F=features[1:],
        picked=candidates.rows([0]),
    )
    assert all(chosen(badge, some, 1, seed) == [1] for seed in range(20))
    assert all(chosen(badge, candidates, 2, seed) == [0, 2] for seed in range(20))


# --- typiclust ----------------------------------------------------------------------------------


def in_kinds(sizes, seed=0):
    """Points of length 1 in kinds far apart, one after another, and the kind of each."""
    kinds = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    scattered = torch.eye(len(sizes), dtype=torch.float64)[kinds]
    scattered = scattered + 0.05 * points(len(kinds), seed, len(sizes))
    return torch.nn.functional.normalize(scattered), kinds


def test_typiclust_takes_the_most_typical_of_the_largest_clusters_without_a_label():
    pool, kinds = in_kinds([6, 12, 9, 7])
    candidates = lying_at(pool, labelled=torch.eye(4)[1:2])
    batch = chosen(typiclust, candidates, 3)
    assert kinds[batch].tolist() == [2, 3, 0]
    for index in batch:
        own = [i for i in range(len(pool)) if kinds[i] == kinds[index]]
        mean_distance = cdist(pool[own], pool[own]).sum(axis=1) / (len(own) - 1)
        assert own[int(mean_distance.argmin())] == index


def test_typiclust_leaves_clusters_of_fewer_than_five_until_the_others_are_used_up():
    pool, kinds = in_kinds([4, 7, 3, 6])
    assert kinds[chosen(typiclust, lying_at(pool), 4)].tolist() == [1, 3, 1, 3]


def test_typiclust_turns_to_clusters_that_the_batch_has_none_of():
    pool, kinds = in_kinds([12, 9, 7])
    parts = ["one" if kind < 2 else str(i) for i, kind in enumerate(kinds.tolist())]
    batch = choose_batch(typiclust, lying_at(pool), parts, 3, seeded())
    assert kinds[batch].tolist()[:2] == [0, 2]  # the second's pick was of the first's part


def test_typiclust_chooses_what_scikit_activeml_chooses_of_the_same_clusters(goldens, monkeypatch):
    pool, labelled, candidates = split_by_label(goldens)
    kinds = torch.tensor(goldens["kinds"])[[*pool, *labelled]]
    monkeypatch.setattr(module, "k_means", lambda *_: kinds)
    theirs = goldens["scikit_activeml"]["typiclust"]
    assert [pool[i] for i in chosen(typiclust, candidates, len(theirs))] == theirs


# --- probcover ----------------------------------------------------------------------------------


def test_the_radius_is_the_largest_at_which_balls_are_pure():
    labels = torch.tensor([0] * 20 + [1] * 20)
    line = torch.arange(40, dtype=torch.float64).unsqueeze(1)
    assert pure_radius(line, labels) == 2  # the two at the border are one in twenty, four are not
    assert pure_radius(line[:20], labels[:20]) == torch.inf


@quick
@given(st.integers(0, 10_000))
def test_beyond_the_radius_less_than_95_percent_of_the_balls_are_pure(seed):
    some, labels = points(60, seed), (points(60, seed + 1)[:, 0] > 0).long()
    radius = pure_radius(some, labels)
    distances, mixed = cdist(some, some), labels[:, None] != labels

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
        torch.nn.functional.normalize(some)
        for some in (candidates.embeddings_N_F, candidates.labelled_embeddings_M_F)
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

    def covered(some):
        return within[list(some)].any(axis=0).sum()

    best = max(covered(some) for some in itertools.combinations(range(10), 3))
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
