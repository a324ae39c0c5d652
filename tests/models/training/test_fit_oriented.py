"""Castings whose orientation or handedness is what their class depends on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.images import Preprocessing
from models.network.spec import NetworkSpec
from models.network.standardise import Standardisation
from models.network.start import read_start
from models.prediction.predictor import Predictor
from models.training.fit import fit
from models.training.head import fit_head
from models.training.recipe import Recipe

SIZE, LABELS, TOLD = 64, 70, 60
SPEC = NetworkSpec("resnet18", channels=1, classes=2)


def arrows(count, seed):
    """Arrows that point up (0) or down (1), each somewhere else, in noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    pixels, targets = [], np.arange(count) % 2
    for target in targets:
        middle, top = random.integers(24, 40), random.integers(10, 18)
        shaft = (abs(columns - middle) < 3) & (rows >= top) & (rows < top + 34)
        head = (abs(columns - middle) < (rows - top)) & (rows >= top) & (rows < top + 14)
        light = 70 + 110 * (shaft | head) + random.normal(0, 8, (SIZE, SIZE))
        pixels.append((light[::-1] if target else light).clip(0, 255).astype(np.uint8))
    return torch.from_numpy(np.stack(pixels)).unsqueeze(1), torch.from_numpy(targets)


@pytest.fixture(scope="module")
def begun():
    """The shipped start under a head fitted to 70 labels, as the default of `run` has it."""
    start = read_start("surface", SPEC)
    predictor = Predictor(start.network(SPEC), start.preprocessing(SIZE), ("up", "down"), None)
    pixels, targets = arrows(LABELS, seed=0)
    pooled = predictor.pool(pixels)
    predictor.network.standardisations[0] = Standardisation.of(pooled, range(LABELS))
    weight, bias = fit_head(predictor.features(pooled), targets, 2, None)
    return replace(predictor, network=predictor.network.with_head(weight, bias))


def share_told(predictor):
    pixels, targets = arrows(TOLD, seed=1)
    features = predictor.features(predictor.pool(pixels))
    with torch.inference_mode():
        guessed = predictor.network.head(features.to(predictor.device)).argmax(dim=1).cpu()
    return float((guessed == targets).double().mean())


def test_the_default_head_tells_up_from_down_with_70_labels(begun):
    assert share_told(begun) >= 0.95


def test_all_weights_learn_up_from_down_where_nothing_is_turned(begun):
    pixels, targets = arrows(LABELS, seed=0)
    form: Preprocessing = begun.preprocessing
    recipe = Recipe(steps=12, learning_rate=2e-3, turned=False, mirrored=False)
    network, _ = fit(pixels, targets, begun.network, form, recipe=recipe, seed=0)
    assert share_told(replace(begun, network=network)) >= 0.95
