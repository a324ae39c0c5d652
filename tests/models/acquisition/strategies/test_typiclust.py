import torch
from hypothesis import settings
from scipy.spatial.distance import cdist

from models.acquisition.selection import choose_batch
from models.acquisition.strategies import typiclust as module
from models.acquisition.strategies.typiclust import typiclust
from tests.models.acquisition.pools import chosen, in_kinds, lying_at, seeded, split_by_label

quick = settings(max_examples=25, deadline=None)


def test_typiclust_takes_the_most_typical_of_the_largest_clusters_without_a_label():
    pool, kinds = in_kinds([6, 12, 9, 7])
    candidates = lying_at(pool, labelled=torch.eye(4)[1:2])
    batch = chosen(typiclust, candidates, 3)
    assert kinds[batch].tolist() == [2, 3, 0]
    for index in batch:
        alike = [i for i in range(len(pool)) if kinds[i] == kinds[index]]
        mean_distance = cdist(pool[alike], pool[alike]).sum(axis=1) / (len(alike) - 1)
        assert alike[int(mean_distance.argmin())] == index


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
