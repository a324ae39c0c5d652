"""A fitted head, beside its gradients, scipy and what scikit-learn does without shortcuts."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from models.training.head import PENALTY, fit_head
from tests.models.network.networks import seeded


def castings(counts, features=300, seed=0, apart=1.0):
    """Features with a mean square of about 1, a class for each of `counts`."""
    generator = seeded(seed)
    targets = torch.tensor([c for c, count in enumerate(counts) for _ in range(count)])
    centres = apart * torch.randn(len(counts), features, generator=generator)
    noise = torch.randn(len(targets), features, generator=generator)
    values = centres[targets] + noise
    order = torch.randperm(len(targets), generator=generator)
    return (values / values.square().mean().sqrt())[order], targets[order]


def probs(features, head):
    weight, bias = head
    return (features.double() @ weight.double().T + bias.double()).softmax(dim=1)


def balanced_loss(features, targets, weight, bias):
    """What is minimised: the mean loss, each class's share the same, and the penalty."""
    unit = features.double() / math.sqrt(features.shape[1])
    scaled = weight * math.sqrt(features.shape[1])
    logits = unit @ scaled.T + bias
    loss = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    counts = torch.bincount(targets).double()
    share = 1 / (counts * len(counts))
    return (loss * share[targets]).sum() + PENALTY / 2 / len(targets) * scaled.square().sum()


# --- by hand ------------------------------------------------------------------------------------


def test_without_labels_every_class_is_as_likely():
    weight, bias = fit_head(torch.empty(0, 5), torch.empty(0, dtype=torch.int64), 3)
    assert weight.shape == (3, 5)
    assert not weight.any()
    assert bias.tolist() == [0, 0, 0]


@pytest.mark.parametrize("labels", [1, 9])
def test_of_one_class_alone_the_others_have_the_odds_of_one_that_was_missed_so_often(labels):
    features, _ = castings([labels])
    weight, bias = fit_head(features, torch.full((labels,), 1), 3)
    assert not weight.any()
    expected = torch.tensor([1 / (labels + 1), 1, 1 / (labels + 1)])
    torch.testing.assert_close(bias.exp(), expected)


def test_features_of_nothing_tell_classes_apart_by_nothing():
    weight, bias = fit_head(torch.zeros(4, 6), torch.tensor([0, 0, 0, 1]), 2)
    assert not weight.any()
    torch.testing.assert_close(bias, torch.zeros(2), atol=1e-5, rtol=0)


def test_two_castings_lie_as_far_on_either_side():
    features = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    weight, bias = fit_head(features, torch.tensor([0, 1]), 2)
    torch.testing.assert_close(bias, torch.zeros(2), atol=1e-5, rtol=0)
    # of the margin m on either side: d/dm (2 log(1 + exp(-m)) + PENALTY / 2 * m²) = 0
    margin = float((weight[0] - weight[1]) @ features[0])
    assert PENALTY * margin == pytest.approx(2 / (1 + math.exp(margin)), rel=1e-4)


# --- properties ---------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [[5, 5], [40, 3], [10, 6, 4], [1, 1, 30, 2]])
def test_it_is_the_optimum(counts):
    features, targets = castings(counts)
    weight, bias = (t.double().requires_grad_() for t in fit_head(features, targets, len(counts)))
    free = weight
    if len(counts) == 2:  # one row is what is penalised: that of the odds
        free = torch.stack([-(weight[1] - weight[0]), weight[1] - weight[0]]) / math.sqrt(2)
        loss = balanced_loss(features, targets, weight, bias)
        loss = loss + PENALTY / 2 / len(targets) * features.shape[1] * (
            free.square().sum() - weight.square().sum()
        )
    else:
        loss = balanced_loss(features, targets, weight, bias)
    loss.backward()
    assert weight.grad.norm() < 1e-5
    assert bias.grad.norm() < 1e-5


def test_the_same_labels_give_the_same_bits_on_any_number_of_threads():
    features, targets = castings([30, 20, 10], features=900)
    with threadpool_limits(limits=1):
        alone = fit_head(features, targets, 3)
    with threadpool_limits(limits=3):
        three = fit_head(features, targets, 3)
    again = fit_head(features, targets, 3)
    for head in (three, again):
        assert torch.equal(head[0], alone[0])
        assert torch.equal(head[1], alone[1])


def test_castings_may_come_in_any_order():
    features, targets = castings([9, 6, 5])
    order = torch.randperm(20, generator=seeded(4))
    found = probs(features, fit_head(features[order], targets[order], 3))
    torch.testing.assert_close(
        found, probs(features, fit_head(features, targets, 3)), atol=1e-5, rtol=0
    )


def test_no_generator_is_touched_and_no_input_written_to():
    features, targets = castings([5, 5])
    before = features.clone(), targets.clone(), torch.get_rng_state()
    state = np.random.get_state()[1].tolist()  # noqa: NPY002 -- only looked at
    fit_head(features, targets, 2)
    assert torch.equal(features, before[0])
    assert torch.equal(targets, before[1])
    assert torch.equal(torch.get_rng_state(), before[2])
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_a_class_that_no_label_names_is_unlikely_and_says_nothing_about_the_others():
    features, targets = castings([8, 0, 6])
    with_it = fit_head(features, targets, 3)
    without = fit_head(features, (targets > 0).long(), 2)
    assert not with_it[0][1].any()
    of_both = probs(features, with_it)
    assert (of_both[:, 1] <= 1 / 15).all()
    known = of_both[:, [0, 2]] / of_both[:, [0, 2]].sum(dim=1, keepdim=True)
    torch.testing.assert_close(known, probs(features, without), atol=1e-5, rtol=0)


def test_a_rare_class_is_not_drowned():
    features, targets = castings([200, 4], apart=0.5)
    told = probs(features, fit_head(features, targets, 2)).argmax(dim=1)
    assert (told == targets).all()


@pytest.mark.parametrize("counts", [[1, 1], [2, 300], [3, 3, 3, 3, 3, 3]])
def test_few_and_many_labels_converge(counts):
    head = fit_head(*castings(counts, features=1344, apart=3.0), len(counts))
    assert all(torch.isfinite(tensor).all() for tensor in head)


def test_castings_that_are_labelled_both_ways_are_as_likely_either():
    features, _ = castings([6])
    twice, targets = features.repeat(2, 1), torch.tensor([0] * 6 + [1] * 6)
    found = probs(features, fit_head(twice, targets, 2))
    torch.testing.assert_close(found, torch.full((6, 2), 0.5).double(), atol=1e-5, rtol=0)


# --- independent oracles ------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [[12, 7], [9, 5, 6]])
def test_scikit_learn_finds_the_same_in_all_dimensions(counts):
    features, targets = castings(counts)
    unit = (features.double() / math.sqrt(features.shape[1])).numpy()
    model = LogisticRegression(
        C=1 / PENALTY, class_weight="balanced", tol=1e-10, max_iter=5000, solver="newton-cg"
    ).fit(unit, targets.numpy())
    found = probs(features, fit_head(features, targets, len(counts)))
    np.testing.assert_allclose(found.numpy(), model.predict_proba(unit), atol=1e-4)


def test_scipy_finds_the_same_for_three_classes():
    features, targets = castings([6, 3, 4], features=8)

    def loss(flat):
        weight, bias = (torch.tensor(part) for part in np.split(flat, [24]))
        leaves = weight.reshape(3, 8).requires_grad_(), bias.requires_grad_()
        value = balanced_loss(features, targets, *leaves)
        gradient = torch.autograd.grad(value, leaves)
        return value.item(), np.concatenate([g.flatten().numpy() for g in gradient])

    best = minimize(loss, np.zeros(27), jac=True, method="BFGS", options={"gtol": 1e-10})
    weight, bias = (torch.tensor(part) for part in np.split(best.x, [24]))
    expected = probs(features, (weight.reshape(3, 8), bias))
    found = probs(features, fit_head(features, targets, 3))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
