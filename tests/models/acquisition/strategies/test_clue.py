from dataclasses import replace

import torch

from models.acquisition import clustering
from models.acquisition.candidates import Candidates
from models.acquisition.selection import choose_batch
from models.acquisition.strategies.clue import clue
from tests.models.acquisition.pools import chosen, in_kinds, lying_at, points, seeded


def saying(candidates, of_first_class):
    first = torch.tensor(of_first_class, dtype=torch.float64)
    return replace(candidates, deterministic_N_C=torch.stack([first, 1 - first], dim=1))


def test_the_centre_lies_where_the_model_is_unsure():
    line = lying_at([[0, 0], [1, 0], [2, 0], [3, 0], [4, 0]])
    assert chosen(clue, saying(line, [0.9, 0.9, 0.9, 0.9, 0.9]), 1) == [2]
    assert chosen(clue, saying(line, [0.999, 0.999, 0.999, 0.999, 0.5]), 1) == [4]


def test_the_cluster_of_most_entropy_comes_first():
    pool, kinds = in_kinds([9, 5, 7])
    unsure = [0.6 if kind == 1 else 0.999 for kind in kinds.tolist()]
    batch = chosen(clue, saying(lying_at(pool), unsure), 3)
    assert kinds[batch].tolist() == [1, 0, 2]


def test_a_pool_of_which_the_model_is_sure_is_clustered_all_the_same():
    pool, kinds = in_kinds([9, 5, 7])
    batch = chosen(clue, saying(lying_at(pool), [1.0] * len(pool)), 3)
    assert kinds[batch].tolist() == [0, 2, 1]


def test_clusters_that_the_batch_has_one_of_come_last():
    pool, kinds = in_kinds([12, 9, 7])
    parts = ["one" if kind < 2 else str(i) for i, kind in enumerate(kinds.tolist())]
    candidates = saying(lying_at(pool), [0.6] * len(pool))
    assert kinds[choose_batch(clue, candidates, parts, 2, seeded())].tolist() == [0, 2]


def test_the_scale_of_the_features_is_nothing():
    pool, said = points(30, 1, 4), points(30, 2, 1)[:, 0].sigmoid().tolist()
    batches = [
        chosen(clue, saying(lying_at(100 + scale * pool), said), 6) for scale in (1e-3, 1, 1e3)
    ]
    assert batches[0] == batches[1] == batches[2]


def test_clue_chooses_what_scikit_activeml_chooses_of_the_same_clusters(goldens, monkeypatch):
    kinds = torch.tensor(goldens["kinds"][11:41]).unique(return_inverse=True)[1]
    monkeypatch.setattr(clustering, "k_means", lambda *_: kinds)
    candidates = Candidates(
        30, deterministic_N_C=goldens["deterministic"], embeddings_N_F=goldens["features"][11:41]
    )
    theirs = goldens["scikit_activeml"]["clue"]
    assert sorted(chosen(clue, candidates, len(theirs))) == theirs
