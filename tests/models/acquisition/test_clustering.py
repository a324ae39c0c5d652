import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import chisquare

from models.acquisition import clustering
from models.acquisition.clustering import (
    comparable,
    drawn_far_apart,
    euclidean,
    farthest_first,
    in_slices,
    k_means,
    most_central,
    nearer,
    nearest,
)
from tests.models.acquisition import pools
from tests.models.acquisition.pools import seeded

quick = settings(max_examples=25, deadline=None)


def points(count, seed=0, features=3):
    return pools.points(count, seed, features)


@pytest.fixture
def small_steps(monkeypatch):
    """Slices, fronts and refreshes so small that small cases go through all of them."""
    for name, value in {"_ELEMENTS": 20, "_FRONT": 3, "_RECENT": 2, "_REFUSED": 2}.items():
        monkeypatch.setattr(clustering, name, value)


# --- distances ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_steps")
def test_distances_are_those_of_scipy():
    cloud, others = points(11), points(4, seed=1)
    expected = cdist(cloud, others) ** 2
    sliced = torch.cat([squared for _, squared in in_slices(cloud, others)])
    assert np.allclose(sliced, expected)
    assert np.allclose(
        euclidean(cloud)(slice(2, 9), torch.tensor([0, 5])), cdist(cloud, cloud)[2:9, [0, 5]] ** 2
    )
    assert np.allclose(nearest(cloud, others), expected.min(axis=1))


def test_with_nothing_to_be_near_to_the_distance_is_infinite():
    assert nearest(points(3), points(0)).tolist() == [torch.inf] * 3


def test_points_made_comparable_keep_which_distance_is_larger_and_lose_offset_and_scale():
    cloud, others = 1e3 + 50 * points(20), 1e3 + 50 * points(5, seed=1)
    moved, with_them = comparable(cloud, others)
    assert torch.allclose(moved.mean(dim=0), torch.zeros(3, dtype=torch.float64), atol=1e-9)
    assert moved.square().sum(dim=1).mean().item() == pytest.approx(1)
    ratio = cdist(moved, with_them) / cdist(cloud, others)
    assert ratio == pytest.approx(np.full((20, 5), ratio[0, 0]))


def test_points_that_coincide_are_made_comparable_without_dividing_by_nothing():
    assert comparable(torch.ones(4, 2))[0].tolist() == [[0, 0]] * 4


# --- farthest first -----------------------------------------------------------------------------


def from_the_first(between, count):
    """Squared distances to the first, which is chosen already."""
    return nearer(torch.full((count,), torch.inf), [0], between)


def plainly_farthest_first(cloud, first, size):
    squared = cdist(cloud, cloud) ** 2
    chosen = [first]
    while len(chosen) < size:
        near = squared[:, chosen].min(axis=1).round(6)
        near[chosen] = -1
        chosen.append(int(near.argmax()))
    return chosen[1:]


@quick
@given(st.integers(0, 1000), st.integers(2, 30))
def test_the_farthest_are_those_found_without_any_shortcut(seed, count):
    cloud = points(count, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clustering, "_FRONT", 3)
        between = euclidean(cloud)
        chosen = farthest_first(count - 1, from_the_first(between, count), between)
    assert chosen == plainly_farthest_first(cloud, 0, count)


@pytest.mark.usefixtures("small_steps")
def test_among_equally_far_points_the_lower_index_is_first():
    between = euclidean(torch.zeros(9, 2))
    assert farthest_first(8, from_the_first(between, 9), between) == list(range(1, 9))


# --- k-means++ ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_steps")
def test_each_is_drawn_in_proportion_to_its_squared_distance_from_the_nearest_before_it():
    cloud = torch.tensor([[0.0], [1.0], [2.0], [4.0], [7.0]], dtype=torch.float64)
    between, generator = euclidean(cloud), seeded(3)
    chances = {}
    for triple in itertools.permutations(range(1, 5), 3):
        chance, chosen = 1.0, [0]
        for index in triple:
            near = (cdist(cloud, cloud) ** 2)[:, chosen].min(axis=1)
            chance *= near[index] / near.sum()
            chosen.append(index)
        chances[triple] = chance
    counts = dict.fromkeys(chances, 0)
    for _ in range(3000):
        start = from_the_first(between, 5)
        counts[tuple(drawn_far_apart(3, start, between, generator))] += 1
    likely = [triple for triple in chances if chances[triple] * 3000 >= 5]
    observed = [*(counts[t] for t in likely), sum(counts[t] for t in chances if t not in likely)]
    expected = [chances[t] * 3000 for t in likely]
    expected.append(3000 - sum(expected))
    assert chisquare(observed, expected).pvalue > 0.001


@pytest.mark.usefixtures("small_steps")
def test_points_on_one_drawn_are_drawn_last_by_index_and_none_twice():
    cloud = torch.tensor([[0.0], [0.0], [5.0], [5.0], [5.0], [9.0]])
    between = euclidean(cloud)
    chosen = drawn_far_apart(5, from_the_first(between, 6), between, seeded())
    assert sorted(chosen) == [1, 2, 3, 4, 5]
    assert {float(cloud[i]) for i in chosen[:2]} == {5.0, 9.0}
    assert chosen[2:] == sorted(chosen[2:])


# --- k-means ------------------------------------------------------------------------------------


def test_clusters_far_apart_are_told_apart():
    kinds = torch.arange(60) % 3
    cloud = 50 * torch.eye(3)[kinds] + torch.rand(60, 3, generator=seeded())
    labels = k_means(cloud, 3, seeded(1))
    assert len({(int(a), int(b)) for a, b in zip(kinds, labels, strict=True)}) == 3


def test_more_clusters_than_points_give_each_its_own():
    assert sorted(k_means(points(5), 9, seeded()).tolist()) == [0, 1, 2, 3, 4]


def test_points_that_coincide_share_a_cluster_and_others_stay_empty():
    assert len(k_means(torch.ones(6, 2), 3, seeded()).unique()) == 1
    twice = points(4).repeat(5, 1)
    labels = k_means(twice, 9, seeded())
    assert labels.tolist() == labels[:4].repeat(5).tolist()
    assert len(labels.unique()) == 4


@quick
@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 12), st.booleans())
def test_any_points_are_clustered_without_a_warning(seed, count, clusters, single):
    coarse = points(count, seed).round(decimals=seed % 3)  # the fewer digits, the more coincide
    labels = k_means(coarse.float() if single else coarse, clusters, seeded(seed))
    assert labels.shape == (count,)
    assert labels.min() >= 0
    assert labels.max() < clusters


def test_one_seed_gives_one_clustering_whatever_the_number_of_threads():
    shown, before = points(3000, features=20), torch.get_num_threads()
    clusterings = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        clusterings.append(k_means(shown, 30, seeded(5)).tolist())
    torch.set_num_threads(before)
    assert clusterings[0] == clusterings[1] == clusterings[2]
    assert clusterings[0] != k_means(shown, 30, seeded(6)).tolist()


def test_centres_of_a_large_pool_are_drawn_from_a_sample_of_it(monkeypatch):
    monkeypatch.setattr(clustering, "_SEEDS_FROM", 30)
    kinds = torch.arange(600) % 3
    labels = k_means(50 * torch.eye(3)[kinds] + points(600).float(), 3, seeded(1))
    assert len({(int(a), int(b)) for a, b in zip(kinds, labels, strict=True)}) == 3


# --- the most central of each cluster -----------------------------------------------------------


def test_the_heaviest_cluster_comes_first_and_weights_move_its_centre():
    line = torch.tensor([[0.0], [1], [2], [100], [101], [102]], dtype=torch.float64)
    assert most_central(line, torch.tensor([1.0, 1, 1, 2, 2, 2]), 2, seeded()) == [4, 1]
    assert most_central(line, torch.tensor([9.0, 1, 1, 2, 2, 2]), 2, seeded()) == [0, 4]


def test_where_clusters_run_out_the_second_nearest_follow():
    pairs = torch.tensor([[0.0], [0], [5], [5], [5]], dtype=torch.float64)
    assert most_central(pairs, torch.ones(5), 4, seeded()) == [2, 0, 3, 1]


def test_what_is_held_is_the_first_of_its_cluster():
    held_last = torch.tensor([[0.0], [1], [2], [100], [101], [101]], dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clustering, "k_means", lambda *_: torch.tensor([0, 0, 0, 1, 1, 1]))
        assert most_central(held_last, torch.ones(6), 2, seeded(), held=1) == [1, 0]
