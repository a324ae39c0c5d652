from dataclasses import replace

import numpy as np
import pytest
import torch

from models.evaluation.operating_point import OperatingPoint
from models.images import Preprocessing
from models.network.ensemble import Ensemble
from models.network.spec import NetworkSpec
from models.network.weights import build
from models.prediction.class_activation_map import (
    DILATED,
    STRIDE,
    explain,
    levelled,
    logit_maps,
    nearest_cells,
)
from models.prediction.predictor import Predictor
from models.training.fit import fit
from models.training.recipe import Recipe

SIZE = 64


@pytest.fixture(scope="module")
def castings():
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (3, 1, SIZE, SIZE), generator=generator, dtype=torch.uint8)


def predictor_of(network, classes=("crack", "ok", "void"), **operating):
    operating = {"good": "ok", "temperature": 1.5} | operating
    return Predictor(network, Preprocessing(SIZE), classes, OperatingPoint(**operating))


def network(seed=0, backbone="resnet18", classes=3):
    spec = NetworkSpec(backbone, channels=1, classes=classes)
    made = build(spec, "scratch", torch.Generator().manual_seed(seed)).eval()
    with torch.no_grad():
        made.head.weight.mul_(0.2)
        made.head.bias.copy_(torch.linspace(-0.3, 0.4, classes))
    return made


def logits(predictor, pixels_N):
    """Of the pass without dropout, at the temperature; an ensemble's are its members' mean."""
    members = getattr(predictor.network, "members", [predictor.network])
    of_members = []
    for member in members:
        weight_C_F, bias_C = member.readout()
        features_N_F = replace(predictor, network=member).embed(pixels_N)
        of_members.append(features_N_F @ weight_C_F.T + bias_C)
    return torch.stack(of_members).mean(dim=0) / predictor.operating.temperature


@pytest.mark.parametrize("dilated", [(), DILATED, (3, 4)])
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.usefixtures("in_fp32")
def test_the_mean_of_a_map_is_the_logit_of_the_verdict(castings, backbone, dilated):
    predictor = predictor_of(network(backbone=backbone))
    maps_N_C_H_W = logit_maps(predictor, castings, dilated)
    edge = SIZE // 32 << len(dilated)
    assert maps_N_C_H_W.shape == (3, 3, edge, edge)
    expected = logits(predictor, castings)
    torch.testing.assert_close(maps_N_C_H_W.mean(dim=(2, 3)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.usefixtures("in_fp32")
def test_the_cells_of_the_backbones_own_map_stay_as_they_are(castings):
    predictor = predictor_of(network())
    coarse = logit_maps(predictor, castings, dilated=())
    fine = logit_maps(predictor, castings)[..., ::2, ::2]
    torch.testing.assert_close(fine, coarse, atol=1e-4, rtol=1e-4)


@pytest.mark.usefixtures("in_fp32")
def test_the_map_of_an_ensemble_is_the_mean_over_its_members(castings):
    members = [network(seed) for seed in (1, 2)]
    together = predictor_of(Ensemble.of(members))
    maps = logit_maps(together, castings)
    alone = torch.stack([logit_maps(predictor_of(m), castings) for m in members])
    torch.testing.assert_close(maps, alone.mean(dim=0))
    expected = logits(together, castings)
    torch.testing.assert_close(maps.mean(dim=(2, 3)), expected, atol=1e-4, rtol=1e-4)


def test_explaining_leaves_the_network_as_it_was(castings):
    made = network()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    shapes = repr(made)
    explain(predictor_of(made), castings[0])
    assert repr(made) == shapes
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.state_dict().items())


def test_a_rejected_casting_is_explained_by_its_likeliest_defect(castings):
    predictor = predictor_of(network(), threshold=0.0)
    explanation = explain(predictor, castings[0])
    probs_C = predictor.deterministic(predictor.embed(castings[:1]))[0]
    assert explanation.label == explanation.speaks_for != "ok"
    assert explanation.against == "ok"
    assert explanation.probability == pytest.approx(1 - float(probs_C[1]))


def test_a_passed_casting_is_explained_by_the_defect_that_was_closest(castings):
    predictor = predictor_of(network(), threshold=1.0)
    explanation = explain(predictor, castings[0])
    rejected = explain(predictor_of(network(), threshold=0.0), castings[0])
    assert explanation.label == "ok"
    assert explanation.speaks_for == rejected.label
    assert torch.equal(explanation.log_odds_HW, rejected.log_odds_HW)


def test_without_a_good_class_the_verdict_is_held_against_the_second(castings):
    predictor = predictor_of(network(), classes=("a", "b", "c"), good=None)
    explanation = explain(predictor, castings[0])
    probs_C = predictor.deterministic(predictor.embed(castings[:1]))[0]
    first, second = (predictor.classes[i] for i in probs_C.argsort(descending=True)[:2])
    assert (explanation.label, explanation.speaks_for) == (first, first)
    assert explanation.against == second
    assert explanation.probability == pytest.approx(float(probs_C.max()))


def test_grids_are_levelled_to_the_mean_of_the_first():
    maps = torch.tensor([[1.0, 10.0, 3.0], [0.0, 5.0, 0.0], [5.0, 20.0, 7.0]])
    expected = torch.tensor([[1.0, -1.0, 3.0], [4.0, 4.0, 4.0], [5.0, 9.0, 7.0]])
    assert torch.equal(levelled(maps, 2), expected)  # means 4, 15, 0 and 5


def test_cells_lie_around_every_sixteenth_pixel_of_the_input():
    assert nearest_cells(16, size=32).tolist() == [0] * 4 + [1] * 12
    assert nearest_cells(8, size=64).tolist() == [0, 1, 1, 2, 2, 3, 3, 3]
    assert nearest_cells(2, size=32, stride=32).tolist() == [0, 0]


@pytest.mark.parametrize("size", [32, 50, 100])
def test_there_are_as_many_cells_as_the_backbone_gives(size):
    predictor = replace(predictor_of(network()), preprocessing=Preprocessing(size))
    edge = logit_maps(predictor, torch.zeros(1, 1, size, size, dtype=torch.uint8)).shape[-1]
    assert int(nearest_cells(size, size)[-1]) <= edge - 1
    assert edge == -(-size // STRIDE)


def spotted(count, seed, size):
    """Noise, on every second casting a bright spot; and its middle."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 120, (count, 1, size, size)).astype(np.uint8)
    places = rng.integers(8, size - 8, (count, 2))
    for index in range(0, count, 2):
        row, column = places[index]
        pixels[index, 0, row - 4 : row + 4, column - 4 : column + 4] = 250
    return torch.from_numpy(pixels), places


@pytest.mark.slow
def test_the_peak_lies_on_what_the_network_learnt_to_see():
    size = 96
    pixels_N, _ = spotted(48, seed=0, size=size)
    made, _ = fit(
        pixels_N,
        torch.arange(48) % 2,
        NetworkSpec("resnet18", channels=1, classes=2),
        Preprocessing(size),
        recipe=Recipe(steps=40, minibatch=16),
        weights="scratch",
        seed=0,
    )
    predictor = predictor_of(made, classes=("def", "ok"), temperature=1.0)
    predictor = replace(predictor, preprocessing=Preprocessing(size))
    castings, places = spotted(40, seed=1, size=size)
    hits = []
    for pixels, (row, column) in zip(castings[::2], places[::2], strict=True):
        explanation = explain(predictor, pixels)
        assert explanation.label == "def"
        x, y = (size * fraction for fraction in explanation.peak)
        hits.append(max(abs(x - column), abs(y - row)) <= 4 + 1.5 * STRIDE)
    assert sum(hits) >= 0.8 * len(hits)  # a third of them would be chance


@pytest.mark.parametrize("name", ["int8", "bf16", "fp32"])
def test_an_explanation_adds_up_to_its_verdict_in_any_precision(
    predictor, pixels, compute_in, name
):
    compute_in(name)
    for casting in pixels[:4]:
        explanation = explain(predictor, casting)
        (probs,) = predictor.deterministic(predictor.embed(casting.unsqueeze(0)))
        of = dict(zip(predictor.classes, probs, strict=True))
        odds = (of[explanation.speaks_for] / of[explanation.against]).log()
        torch.testing.assert_close(
            explanation.log_odds_HW.mean().double(), odds, atol=1e-4, rtol=1e-4
        )
