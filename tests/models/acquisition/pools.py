"""Castings as strategies see them, drawn at random or laid where a test wants them."""

import torch

from models.acquisition.candidates import Candidates


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def points(count, seed=0, features=2):
    return torch.randn(count, features, generator=seeded(seed), dtype=torch.float64)


def indices(chosen):
    return [int(i) for i in chosen]


def ranked(scores):
    """Highest first; what differs by rounding goes to the lower index."""
    return sorted(range(len(scores)), key=lambda i: (-round(float(scores[i]), 6), i))


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


def in_kinds(sizes, seed=0):
    """Points of length 1 in kinds far apart, one after another, and the kind of each."""
    kinds = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    scattered = torch.eye(len(sizes), dtype=torch.float64)[kinds]
    scattered = scattered + 0.05 * points(len(kinds), seed, len(sizes))
    return torch.nn.functional.normalize(scattered), kinds
