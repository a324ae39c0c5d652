import torch

from models.acquisition import clustering
from models.acquisition.candidates import Candidates
from models.acquisition.selection import choose_batch
from models.acquisition.strategies.dropquery import dropquery
from tests.models.acquisition.pools import chosen, in_kinds, seeded


def disagreeing(pool, *others, passes=4):
    """The plain pass says 0 throughout, and so many passes 1."""
    classes = torch.tensor([[k < of for k in range(passes)] for of in others]).long()
    return Candidates(
        len(pool),
        probs_N_K_C=torch.nn.functional.one_hot(classes, 2).double(),
        deterministic_N_C=torch.tensor([[0.9, 0.1]] * len(pool), dtype=torch.float64),
        embeddings_N_F=pool,
    )


def test_one_of_each_cluster_of_those_that_more_than_half_of_the_passes_contradict():
    pool, kinds = in_kinds([6, 6, 6, 6])
    said = [[3, 2, 4, 0][kind] for kind in kinds.tolist()]
    batch = chosen(dropquery, disagreeing(pool, *said), 2)
    assert sorted(kinds[batch].tolist()) == [0, 2]  # half of the passes is not more than half
    for index in batch:
        alike = pool[kinds == kinds[index]]
        nearest = (alike - alike.mean(dim=0)).square().sum(dim=1).argmin()
        assert torch.equal(pool[index], alike[nearest])


def test_where_too_few_are_contradicted_the_bar_falls_until_there_are_enough():
    pool, _ = in_kinds([4, 4])
    said = [0, 1, 0, 3, 1, 0, 0, 1]
    for seed in range(5):
        assert set(chosen(dropquery, disagreeing(pool, *said), 4, seed)) == {1, 3, 4, 7}
        assert set(chosen(dropquery, disagreeing(pool, *said), 2, seed)) <= {1, 3, 4, 7}


def test_where_passes_never_disagree_the_whole_pool_is_clustered():
    pool, kinds = in_kinds([9, 5, 7])
    batch = chosen(dropquery, disagreeing(pool, *[0] * len(pool)), 3)
    assert kinds[batch].tolist() == [0, 2, 1]  # the largest cluster comes first


def test_clusters_that_the_batch_has_one_of_come_last():
    pool, kinds = in_kinds([12, 9, 7])
    parts = ["one" if kind < 2 else str(i) for i, kind in enumerate(kinds.tolist())]
    candidates = disagreeing(pool, *[4] * len(pool))
    assert kinds[choose_batch(dropquery, candidates, parts, 2, seeded())].tolist() == [0, 2]


def test_dropquery_chooses_what_scikit_activeml_chooses_of_the_same_clusters(goldens, monkeypatch):
    features, kinds = goldens["features"][11:41], torch.tensor(goldens["kinds"][11:41])

    def told(points, *_):
        return kinds[torch.cdist(points, features).argmin(dim=1)].unique(return_inverse=True)[1]

    monkeypatch.setattr(clustering, "k_means", told)
    candidates = Candidates(
        30,
        probs_N_K_C=goldens["posterior"],
        deterministic_N_C=goldens["deterministic"].roll(1, dims=0),
        embeddings_N_F=features,
    )
    theirs = goldens["scikit_activeml"]["dropquery"]
    assert sorted(chosen(dropquery, candidates, len(theirs))) == theirs
