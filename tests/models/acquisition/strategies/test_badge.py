import numpy as np
import pytest
import torch
from hypothesis import settings
from scipy.stats import chisquare

from models.acquisition.candidates import Candidates
from models.acquisition.strategies.badge import badge
from tests.models.acquisition.pools import chosen, points, seeded

quick = settings(max_examples=25, deadline=None)


def gradients(probs, features):
    """The embeddings `[N, C·F]` written out, one casting after another."""
    written = []
    for row, feature in zip(probs.numpy(), features.numpy(), strict=True):
        residual = row - np.eye(len(row))[row.argmax()]
        written.append(np.concatenate([r * feature for r in residual]))
    return np.stack(written)


def test_badge_draws_by_distances_between_the_gradients_written_out():
    probs, features = points(6, 1, 3).softmax(dim=1), points(6, 2, 4)
    candidates = Candidates(6, deterministic_N_C=probs, embeddings_N_F=features)
    written, generator = gradients(probs, features), seeded(4)
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
    features, probs = goldens["features"][:30], goldens["deterministic"]
    theirs = goldens["scikit_activeml"]
    candidates = Candidates(30, deterministic_N_C=probs, embeddings_N_F=features)
    first = chosen(badge, candidates, 1)[0]
    assert first == theirs["badge_first"]
    written = gradients(probs, features)
    nearest = np.minimum(((written - written[first]) ** 2).sum(axis=1), (written**2).sum(axis=1))
    assert theirs["badge_second_chances"] == pytest.approx(nearest / nearest.sum(), abs=1e-9)


def test_badge_does_not_draw_what_the_batch_holds_the_like_of():
    probs = torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.4, 0.6]], dtype=torch.float64)
    features = torch.ones(3, 2, dtype=torch.float64)
    candidates = Candidates(3, deterministic_N_C=probs, embeddings_N_F=features)
    left = Candidates(
        2, deterministic_N_C=probs[1:], embeddings_N_F=features[1:], picked=candidates.rows([0])
    )
    assert all(chosen(badge, left, 1, seed) == [1] for seed in range(20))
    assert all(chosen(badge, candidates, 2, seed) == [0, 2] for seed in range(20))
