"""Small models and photographs that several test modules share."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.evaluation.operating_point import OperatingPoint
from models.images import Preprocessing, normalise
from models.network.spec import NetworkSpec
from models.network.standardise import Standardisation
from models.prediction.predictor import Predictor
from tests.models.network.networks import from_scratch, seeded

collect_ignore = ["goldens/make_goldens.py"]  # its libraries are no dependency of ours

SIZE = 32


@pytest.fixture(scope="session")
def make_predictor():
    """Untrained networks, their head made small enough that no probability saturates."""

    def make(classes=("def", "ok"), seed=0, channels=1, dropout=0.5, operating=None):
        spec = NetworkSpec("resnet18", channels, len(classes), dropout)
        network = from_scratch(spec, seed)
        look = Preprocessing(size=SIZE, channels=channels)
        shown = normalise(draw_pixels(48, channels, seed=1), look)
        usual = Standardisation.of(network.pooled(shown), range(48))
        network.standardisations[0] = usual
        return Predictor(network, look, classes, operating or OperatingPoint("ok", 0.4, 1.5))

    return make


@pytest.fixture(scope="session")
def predictor(make_predictor):
    return make_predictor()


def draw_pixels(count, channels, seed):
    """Castings at model size: noise in different light."""
    light = torch.rand(count, 1, 1, 1, generator=seeded(seed))
    noise = torch.rand(count, channels, SIZE, SIZE, generator=seeded(seed + 1))
    return (255 * (0.7 * light + 0.3 * noise)).to(torch.uint8)


@pytest.fixture(scope="session")
def pixels():
    """Seventy different castings: more than a minibatch."""
    return draw_pixels(70, 1, seed=7)


@pytest.fixture(scope="session")
def photograph():
    """Bytes of a noisy grey PNG, another one for each seed."""

    def make(seed, size=SIZE):
        noise = np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, format="PNG")
        return buffer.getvalue()

    return make


@pytest.fixture
def compute_in(monkeypatch, predictor):
    """Backbones compute in a precision, if this machine can."""
    capable = torch.cpu.get_capabilities()

    def choose(name):
        wanted = {"avx512_bf16": name == "bf16"}
        if any(needed and not capable.get(key) for key, needed in wanted.items()):
            pytest.skip(f"this processor does not compute in {name}")
        vars(predictor).pop("_twin", None)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: wanted)

    yield choose
    vars(predictor).pop("_twin", None)


@pytest.fixture
def in_fp32(compute_in):
    """Backbones compute in fp32, whatever this machine would choose."""
    compute_in("fp32")


@pytest.fixture(scope="session")
def goldens():
    """What other libraries say about made-up castings; `goldens/make_goldens.py` tells how."""
    said = json.loads((Path(__file__).parent / "goldens" / "goldens.json").read_text())
    for name in ("posterior", "deterministic", "features"):
        said[name] = torch.tensor(said[name], dtype=torch.float64)
    return said
