from dataclasses import replace

import numpy as np
import pytest
import torch

from models.evaluation.operating_point import OperatingPoint
from models.images import Preprocessing, normalise
from models.network.backbone import pool
from models.network.network import Network
from models.network.spec import NetworkSpec
from models.network.standardise import Standardisation
from models.network.start import read_start
from models.prediction.class_activation_map import STRIDE, explain, logit_maps, nearest_cells
from models.prediction.predictor import Predictor
from models.training.head import fit_head
from tests.models.network.networks import from_scratch, seeded, shaken

SIZE = 64


@pytest.fixture(scope="module")
def castings():
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (3, 1, SIZE, SIZE), generator=generator, dtype=torch.uint8)


def predictor_of(network, classes=("crack", "ok", "void"), **operating):
    operating = {"good": "ok", "temperature": 1.5} | operating
    return Predictor(network, Preprocessing(SIZE), classes, OperatingPoint(**operating))


def network(seed=0, backbone="resnet18", classes=3, **others):
    made = from_scratch(NetworkSpec(backbone, channels=1, classes=classes, **others), seed)
    shaken(made)
    made.head.bias.copy_(torch.linspace(-0.3, 0.4, classes))
    pooled = made.backbone(torch.randn(12, 1, SIZE, SIZE, generator=seeded(seed)))
    made.standardisations[0] = Standardisation.of(pooled, [str(row // 2) for row in range(12)])
    return made


def logits(predictor, pixels_N):
    """Of the pass without dropout, at the temperature; an ensemble's are its members' mean."""
    probs_N_K_C = [
        torch.stack([h.weight for h in predictor.network.heads]),
        torch.stack([h.bias for h in predictor.network.heads]),
    ]
    features_N_F = predictor.embed(pixels_N)
    parts = features_N_F.chunk(len(predictor.network.backbones), dim=1)
    parts = parts * (len(probs_N_K_C[0]) // len(parts))
    of_members = [p @ w.T + b for p, w, b in zip(parts, *probs_N_K_C, strict=True)]
    return torch.stack(of_members).mean(dim=0) / predictor.operating.temperature


# --- maps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "convnext_atto"])
@pytest.mark.usefixtures("in_fp32")
def test_the_mean_of_a_map_is_the_logit_of_the_verdict(castings, backbone):
    predictor = predictor_of(network(backbone=backbone))
    maps_N_C_H_W = logit_maps(predictor, castings)
    assert maps_N_C_H_W.shape == (3, 3, SIZE // STRIDE, SIZE // STRIDE)
    expected = logits(predictor, castings)
    torch.testing.assert_close(maps_N_C_H_W.mean(dim=(2, 3)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.usefixtures("in_fp32")
def test_of_means_of_one_stage_it_is_the_map_of_zhou(castings):
    made = network(strides=(8,), statistics=("mean",))
    predictor = predictor_of(made, temperature=1.0)
    (stage,) = made.backbone.maps(normalise(castings, Preprocessing(SIZE)))
    weight = made.standardisation.on_pooled(made.head.weight)
    zhou = torch.einsum("cf,nfhw->nchw", weight, stage)
    maps = logit_maps(predictor, castings)
    constant = (maps - zhou)[:1, :, :1, :1]
    torch.testing.assert_close(maps, zhou + constant, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("statistic", ["maximum", "deviation"])
@pytest.mark.usefixtures("in_fp32")
def test_a_cell_has_the_share_of_a_statistic_that_it_makes(castings, statistic):
    made = network(strides=(8,), statistics=(statistic,), classes=2)
    (stage,) = made.backbone.maps(normalise(castings[:1], Preprocessing(SIZE)))
    weight = made.standardisation.on_pooled(made.head.weight)
    cells = stage[0].flatten(1).double().numpy()
    squared = (cells - cells.mean(axis=1, keepdims=True)) ** 2
    whole = cells.max(axis=1) if statistic == "maximum" else cells.std(axis=1)
    share = squared * (whole / np.maximum(cells.var(axis=1), 1e-12))[:, None]
    pooled = pool([stage], (statistic,))[0].numpy()
    np.testing.assert_allclose(share.mean(axis=1), pooled, atol=1e-4)
    expected = weight.double().numpy() @ share
    maps = logit_maps(predictor_of(made, ("ok", "void"), temperature=1.0), castings[:1])[0]
    difference = maps.flatten(1).numpy() - expected
    np.testing.assert_allclose(difference, difference[:, :1].repeat(64, 1), atol=2e-3)


@pytest.mark.usefixtures("in_fp32")
def test_stages_add_up_wherever_their_cells_lie(castings):
    made = network(statistics=("mean",))
    predictor = predictor_of(made, temperature=1.0)
    weight = made.standardisation.on_pooled(made.head.weight).split([64, 128, 256], dim=1)
    stages = made.backbone.maps(normalise(castings, Preprocessing(SIZE)))
    fine, middle, coarse = (
        torch.einsum("cf,nfhw->nchw", w, stage) for w, stage in zip(weight, stages, strict=True)
    )
    # cell (2, 4) of the map lies at cell (4, 8) of the fine stage and at (1, 2) of the coarse one
    here = fine[..., 3:6, 7:10].mean(dim=(2, 3)) + middle[..., 2, 4] + coarse[..., 1, 2]
    there = fine[..., 7:10, 7:10].mean(dim=(2, 3)) + middle[..., 4, 4] + coarse[..., 2, 2]
    maps = logit_maps(predictor, castings)
    torch.testing.assert_close(
        maps[..., 2, 4] - maps[..., 4, 4], here - there, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.usefixtures("in_fp32")
def test_the_map_of_an_ensemble_is_the_mean_over_its_members(castings, shared):
    members = [network(seed) for seed in (1, 2)]
    if shared:
        members[1] = members[0].with_heads([members[1].head])
    together = predictor_of(Network.of_members(members))
    maps = logit_maps(together, castings)
    alone = torch.stack([logit_maps(predictor_of(m), castings) for m in members])
    torch.testing.assert_close(maps, alone.mean(dim=0), atol=1e-4, rtol=1e-4)
    expected = logits(together, castings)
    torch.testing.assert_close(maps.mean(dim=(2, 3)), expected, atol=1e-4, rtol=1e-4)


# --- explanations -------------------------------------------------------------------------------


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


# --- cells --------------------------------------------------------------------------------------


def test_cells_lie_around_every_eighth_pixel_of_the_input():
    assert nearest_cells(16, size=16).tolist() == [0] * 4 + [1] * 12
    assert nearest_cells(8, size=32).tolist() == [0, 1, 1, 2, 2, 3, 3, 3]
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
def test_the_peak_lies_on_what_the_head_was_taught_to_see():
    size, spec = 96, NetworkSpec("resnet18", channels=1, classes=2)
    start = read_start("surface", spec)
    made, look = start.network(spec), start.preprocessing(size)
    pixels_N, _ = spotted(48, seed=0, size=size)
    pooled = made.pooled(normalise(pixels_N, look)).detach()
    made.standardisations[0] = Standardisation.of(pooled, range(48))
    weight, bias = fit_head(made.features(pooled), (torch.arange(48) + 1) % 2, 2)
    made.head.load_state_dict({"weight": weight.flip(0), "bias": bias.flip(0)})
    predictor = predictor_of(made, classes=("def", "ok"), temperature=1.0)
    predictor = replace(predictor, preprocessing=look)
    castings, places = spotted(40, seed=1, size=size)
    hits = []
    for pixels, (row, column) in zip(castings[::2], places[::2], strict=True):
        explanation = explain(predictor, pixels)
        assert explanation.label == "def"
        x, y = (size * fraction for fraction in explanation.peak)
        hits.append(max(abs(x - column), abs(y - row)) <= 4 + 1.5 * STRIDE)
    assert sum(hits) >= 0.8 * len(hits)  # an eighth of them would be chance


@pytest.mark.parametrize("name", ["bf16", "fp32"])
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
