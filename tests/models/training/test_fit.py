import math
import random

import numpy as np
import pytest
import torch

from models.errors import DataError
from models.evaluation.operating_point import OperatingPoint
from models.images import Preprocessing, normalise
from models.network.spec import NetworkSpec
from models.network.standardise import Standardisation
from models.prediction.predictor import Predictor
from models.training import fit as module
from models.training import schedule
from models.training.augmentation import augment
from models.training.fit import fit, loss_weights, unweight
from models.training.recipe import Recipe
from tests.models.network.networks import from_scratch

SPEC = NetworkSpec("resnet18", 1, 2)
SMALL = Preprocessing(size=32)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def squares(count, seed):
    """Bright squares are class 1, dark ones class 0; noise on both."""
    generator = seeded(seed)
    targets = torch.arange(count) % 2
    light = torch.where(targets == 1, 190.0, 60.0).reshape(-1, 1, 1, 1)
    noise = torch.randn(count, 1, 32, 32, generator=generator) * 20
    return (light + noise).clamp(0, 255).to(torch.uint8), targets


def begun(seed=0):
    """A network that a training may begin from."""
    network = from_scratch(SPEC, seed).requires_grad_(requires_grad=True)
    pooled = network.pooled(normalise(squares(12, 9)[0], SMALL)).detach()
    network.standardisations[0] = Standardisation.of(pooled, range(12))
    return network


def train(pixels, targets, *, seed=0, steps=2, minibatch=4, on_step=None, **changes):
    recipe = Recipe(steps=steps, minibatch=minibatch, **changes)
    return fit(pixels, targets, begun(), SMALL, recipe=recipe, seed=seed, on_step=on_step)


def bits(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


@pytest.fixture(scope="module")
def trained_once():
    return bits(train(*squares(6, 0), seed=3)[0])


@pytest.fixture(scope="module")
def trained_to_tell():
    losses = []
    network, loss = train(
        *squares(48, 1), steps=40, minibatch=16, on_step=lambda *step: losses.append(step)
    )
    return network, loss, losses


# --- worked by hand -----------------------------------------------------------------------------


def test_rare_classes_weigh_more():
    weights = loss_weights(torch.tensor([0, 0, 0, 1]), 2)
    assert weights.tolist() == pytest.approx([(4 / 6) ** 0.5, (4 / 2) ** 0.5])


def test_a_class_without_castings_weighs_nothing_and_the_others_share_the_rest():
    weights = loss_weights(torch.tensor([0, 0, 2]), 3)
    assert weights.tolist() == pytest.approx([(3 / 4) ** 0.5, 0, (3 / 2) ** 0.5])
    assert loss_weights(torch.tensor([1, 1]), 2).tolist() == [0, 1]


def test_the_loss_weights_are_taken_out_of_the_probabilities_again():
    network = begun()
    images = torch.rand(3, 1, 32, 32, generator=seeded(1))
    weights = torch.tensor([3.0, 0.5])
    before = network(images).softmax(dim=1)
    unweight(network, weights)
    after = network(images).softmax(dim=1)
    odds = before[:, 0] / before[:, 1] / 6
    assert torch.allclose(after[:, 0] / after[:, 1], odds, rtol=1e-4)


def test_a_class_without_castings_keeps_its_bias():
    network = begun()
    before = network.head.bias.detach().clone()
    unweight(network, torch.tensor([2.0, 0.0]))
    assert network.head.bias[1] == before[1]


def test_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match="0 castings to train on"):
        train(torch.empty(0, 1, 32, 32, dtype=torch.uint8), torch.empty(0, dtype=torch.int64))


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 8])
def test_any_number_of_steps_is_trained(steps):
    told = []
    pixels, targets = squares(2, 0)
    train(pixels, targets, steps=steps, minibatch=2, on_step=lambda *step: told.append(step))
    assert [(step, of) for step, of, _ in told] == [(i, steps) for i in range(1, steps + 1)]


def test_a_single_casting_is_enough_to_train():
    network, loss = train(*(tensor[:1] for tensor in squares(2, 0)))
    assert math.isfinite(loss)
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_labels_of_one_class_are_enough_to_train():
    pixels, _ = squares(4, 0)
    network, loss = train(pixels, torch.ones(4, dtype=torch.int64))
    assert math.isfinite(loss)
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_the_recipe_chooses_the_steps_when_none_are_given(monkeypatch):
    monkeypatch.setattr(schedule, "steps_for", lambda labels: labels // 3)
    told = []
    train(*squares(6, 0), steps=0, patience=0.0, on_step=lambda *step: told.append(step))
    assert [step[:2] for step in told] == [(1, 2), (2, 2)]


def test_each_casting_is_seen_once_before_any_is_seen_twice(monkeypatch):
    seen = []

    def watching(images, *rest):
        seen.extend(images.mean(dim=(1, 2, 3)).mul(1000).round().int().tolist())
        return augment(images, *rest)

    monkeypatch.setattr(module, "augment", watching)
    pixels = torch.arange(0, 250, 50, dtype=torch.uint8).reshape(5, 1, 1, 1)
    train(pixels.expand(-1, 1, 32, 32), torch.tensor([0, 1, 0, 1, 0]), steps=5, minibatch=3)
    assert len(seen) == 15
    assert all(len(set(seen[start : start + 5])) == 5 for start in (0, 5, 10))


# --- what a training promises -------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(trained_once):
    again = bits(train(*squares(6, 0), seed=3)[0])
    assert all(torch.equal(trained_once[key], again[key]) for key in again)


def test_another_seed_gives_another_network(trained_once):
    other = bits(train(*squares(6, 0), seed=4)[0])
    assert not torch.equal(trained_once["heads.0.weight"], other["heads.0.weight"])


def test_no_global_generator_is_touched_and_none_matters(trained_once):
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(99)
        before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
        again = bits(train(*squares(6, 0), seed=3)[0])
        assert torch.equal(torch.get_rng_state(), before[0])
        assert random.getstate() == before[1]
        assert np.random.get_state()[1].tolist() == before[2]  # noqa: NPY002 -- only looked at
    assert torch.equal(again["heads.0.weight"], trained_once["heads.0.weight"])


def test_inputs_are_never_written_to():
    pixels, targets = squares(4, 0)
    before = pixels.clone(), targets.clone()
    train(pixels, targets)
    assert torch.equal(pixels, before[0])
    assert torch.equal(targets, before[1])


def test_what_it_began_from_stays_as_it_is_and_all_weights_move():
    network = begun()
    before = bits(network)
    trained, _ = fit(*squares(6, 0), network, SMALL, recipe=Recipe(steps=2), seed=0)
    assert all(torch.equal(before[key], value) for key, value in bits(network).items())
    after = bits(trained)
    still = {k for k in before if torch.equal(before[k], after[k])}
    assert still == {k for k in before if k.startswith("standardisations.")}


def test_it_begins_from_the_head_that_it_was_given():
    network = begun()
    network.head.weight.data[:] = 0
    network.head.bias.data[:] = torch.tensor([1.0, 0.0])
    told = []
    pixels, _ = squares(4, 0)
    targets = torch.zeros(4, dtype=torch.int64)
    recipe = Recipe(steps=1, minibatch=4)
    fit(pixels, targets, network, SMALL, recipe=recipe, seed=0, on_step=lambda *s: told.append(s))
    assert told[0][2] == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-4)


@pytest.mark.slow
def test_the_network_comes_back_in_eval_mode(trained_to_tell):
    network, _, _ = trained_to_tell
    assert not any(module.training for module in network.modules())


@pytest.mark.slow
def test_the_loss_is_the_mean_of_the_last_tenth_of_the_steps(trained_to_tell):
    _, loss, told = trained_to_tell
    assert loss == pytest.approx(sum(value for _, _, value in told[-4:]) / 4)


@pytest.mark.slow
def test_bright_and_dark_squares_are_told_apart(trained_to_tell):
    network, _, _ = trained_to_tell
    predictor = Predictor(network, SMALL, ("dark", "bright"), OperatingPoint())
    pixels, targets = squares(100, 2)
    told = predictor.deterministic(predictor.embed(pixels)).argmax(dim=1)
    assert (told == targets).double().mean().item() >= 0.95


def test_batch_norm_statistics_are_those_of_the_castings_as_they_are_scored():
    pixels, targets = squares(16, 0)
    network, _ = train(pixels, targets, steps=2)
    stem = network.backbone.stages.conv1(normalise(pixels, SMALL)).detach()
    kept, expected = network.backbone.stages.bn1.running_mean, stem.mean(dim=(0, 2, 3))
    assert torch.allclose(kept, expected, atol=0.02 * float(expected.abs().max()))
