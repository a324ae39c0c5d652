import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.acquisition.candidates import Candidates
from models.acquisition.selection import choose_batch
from models.acquisition.strategies import batchbald as module
from models.acquisition.strategies.bald import bald
from models.acquisition.strategies.batchbald import Joint, batchbald

quick = settings(max_examples=25, deadline=None)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def posterior(count, seed=0, passes=6, classes=3):
    generator = seeded(seed)
    logits = torch.randn(count, passes, classes, generator=generator, dtype=torch.float64)
    return (2 * logits).softmax(dim=-1)


def chosen(probs, size, seed=0):
    return batchbald(Candidates(len(probs), probs_N_K_C=probs), size, seeded(seed)).tolist()


def information(probs, castings):
    """I(labels of the castings; pass), from every joint outcome."""
    passes, classes = probs.shape[1:]
    probs = probs.numpy()
    total = 0.0
    for outcome in itertools.product(range(classes), repeat=len(castings)):
        likely_K = np.prod(
            [probs[i, :, c] for i, c in zip(castings, outcome, strict=True)], axis=0
        )
        share = likely_K.mean()
        total -= share * math.log(share) if share > 0 else 0
        total += sum(p * math.log(p) for p in likely_K if p > 0) / passes
    return total


def brute_force(probs, size):
    batch = []
    for _ in range(size):
        left = [i for i in range(len(probs)) if i not in batch]
        batch.append(max(left, key=lambda i: (round(information(probs, [*batch, i]), 6), -i)))
    return batch


@quick
@given(st.integers(0, 10_000), st.integers(2, 3), st.integers(1, 4))
def test_the_batch_is_that_of_brute_force(seed, classes, size):
    probs = posterior(9, seed, passes=4, classes=classes)
    assert chosen(probs, size) == brute_force(probs, size)


@quick
@given(st.integers(0, 10_000))
def test_looking_at_bounds_first_changes_nothing(seed):
    probs = posterior(14, seed, passes=4, classes=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", 2)
        assert chosen(probs, 4) == brute_force(probs, 4)


def test_gains_add_up_to_the_information_of_the_batch():
    probs, table, total = posterior(5), Joint(*([torch.ones(1, dtype=torch.float64)] * 2)), 0.0
    table = Joint(table.shares_S, torch.full((1, 6), 1 / 6, dtype=torch.float64))
    for casting in range(4):
        total += float(table.gains(probs[casting : casting + 1]))
        table = table.with_casting(probs[casting], seeded())
    assert total == pytest.approx(information(probs, [0, 1, 2, 3]))
    assert float(table.shares_S.sum()) == pytest.approx(1)


def test_a_copy_of_a_picked_casting_has_less_to_tell_than_another():
    sure, unsure = [[0.99, 0.01], [0.01, 0.99]], [[0.8, 0.2], [0.2, 0.8]]
    third = [[0.85, 0.15], [0.85, 0.15]]
    half = torch.tensor([sure, sure, unsure, third], dtype=torch.float64)
    four = torch.cat([half, half.flip(1)], dim=1)
    four[2] = torch.tensor([[0.8, 0.2], [0.8, 0.2], [0.2, 0.8], [0.2, 0.8]])
    assert chosen(four, 2) == [0, 2]
    assert bald(Candidates(4, probs_N_K_C=four), 2, seeded()).tolist() == [0, 1]


def test_the_first_pick_is_that_of_bald():
    for seed in range(10):
        probs = posterior(20, seed)
        first = bald(Candidates(20, probs_N_K_C=probs), 1, seeded())
        assert chosen(probs, 1) == first.tolist()


def test_impossible_outcomes_are_no_trouble():
    certain = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
    assert chosen(certain.repeat(3, 1, 1), 6) == [0, 1, 2, 3, 4, 5]


def test_castings_that_tell_nothing_come_by_index():
    assert chosen(torch.full((700, 3, 2), 0.5), 5) == [0, 1, 2, 3, 4]


def test_sampled_outcomes_come_near_the_exact_information(monkeypatch):
    probs = posterior(7, 3, passes=5, classes=3)
    exact = information(probs, list(range(6))) - information(probs, list(range(5)))
    monkeypatch.setattr(module, "OUTCOMES", 80)
    gains = []
    for seed in range(40):
        generator, one = seeded(seed), torch.ones(1, dtype=torch.float64)
        table = Joint(one, torch.full((1, 5), 0.2, dtype=torch.float64))
        for casting in range(5):
            table = table.with_casting(probs[casting], generator)
        assert len(table.shares_S) <= 80
        assert float(table.shares_S.sum()) == pytest.approx(1)
        gains.append(float(table.gains(probs[5:6])))
    error = np.std(gains) / math.sqrt(len(gains))
    assert np.mean(gains) == pytest.approx(exact, abs=4 * error)
    assert error < 0.02


def test_a_batch_beyond_what_is_exact_is_whole_and_follows_from_the_seed():
    probs = posterior(40, 1)
    first, second = chosen(probs, 25, 1), chosen(probs, 25, 1)
    assert first == second
    assert len(set(first)) == 25
    assert first[:5] == brute_force(probs, 5)[:5]


def test_what_the_batch_holds_already_counts():
    """The twin of a picked casting is passed over when the batch is filled up."""
    one = torch.tensor([[0.95, 0.05], [0.95, 0.05], [0.05, 0.95], [0.05, 0.95]])
    other = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]])
    probs = torch.stack([one, other, one, 0.9 * other + 0.05]).double()
    parts = ["a", "b", "c", "b"]
    assert choose_batch(batchbald, Candidates(4, probs_N_K_C=probs), parts, 2, seeded()) == [0, 1]
    rest = Candidates(4, probs_N_K_C=probs).rows([2, 3])
    held = Candidates(2, probs_N_K_C=rest.probs_N_K_C, picked=Candidates(1, probs_N_K_C=probs[:1]))
    assert batchbald(held, 1, seeded()).tolist() == [1]
    assert batchbald(rest, 1, seeded()).tolist() == [0]


# --- goldens ------------------------------------------------------------------------------------


def test_the_batch_is_that_of_batchbald_redux(goldens):
    theirs = goldens["batchbald_redux"]
    assert chosen(goldens["posterior"], 6) == theirs["batchbald"]
    for count, said in enumerate(theirs["joint_information"][:4], start=1):
        ours = information(goldens["posterior"], theirs["batchbald"][:count])
        assert said == pytest.approx(ours, abs=1e-6)


def test_the_batch_is_that_of_scikit_activeml(goldens):
    assert chosen(goldens["posterior"], 6) == goldens["scikit_activeml"]["batchbald"]


def test_baal_picks_the_same_castings_but_its_information_is_more_than_passes_can_hold(goldens):
    """It samples from the first pick on: of the same six, later ones change places."""
    theirs = np.array(goldens["baal"]["batchbald"])
    picked = sorted(np.flatnonzero(theirs).tolist(), key=lambda i: theirs[i])
    ours = chosen(goldens["posterior"], 6)
    assert picked[:3] == ours[:3]
    assert set(picked[:6]) == set(ours)
    assert theirs.max() > 2 * math.log(8)
