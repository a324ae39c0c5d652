import json
from datetime import UTC, datetime

import pytest
import torch

from models.registry.version import Version
from service.hosting.version_cache import Served
from service.scoring.encoding import body
from service.scoring.request import ScoreRequest, Upload
from tests.service.fakes import CLASSES, unpack

REQUEST = ScoreRequest((Upload("a.png", b""),) * 3, passes=2, seed=5)
ROWS = [{"casting": name, "label": "Lunker, groß"} for name in "abc"]
EMBEDDING = torch.tensor([[0.5, -1.0], [2.0, 0.25], [3.0, 4.0]])


@pytest.fixture
def served(predictors):
    version = Version("casting-defects", "7", "run-7", {})
    return Served(version, predictors["1"], datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def answer():
    return {
        "model": {
            "name": "casting-defects",
            "version": "7",
            "run_id": "run-7",
            "classes": list(CLASSES),
        },
        "passes": 2,
        "seed": 5,
        "castings": ROWS,
    }


def test_rows_are_compact_utf_8_json(served, answer):
    content = body(served, REQUEST, ROWS, {}, binary=False)
    assert json.loads(content) == answer
    assert "groß".encode() in content
    assert b": " not in content


def test_tensors_come_as_lists(served, answer):
    content = body(served, REQUEST, ROWS, {"embedding": EMBEDDING}, binary=False)
    assert json.loads(content) == answer | {"embedding": EMBEDDING.tolist()}


def test_as_safetensors_they_carry_the_json_in_their_metadata(served, answer):
    content = body(served, REQUEST, ROWS, {"embedding": EMBEDDING}, binary=True)
    tensors, metadata = unpack(content)
    assert list(tensors) == ["embedding"]
    assert torch.equal(tensors["embedding"], EMBEDDING)
    assert metadata == answer


def test_what_is_no_number_is_never_written(served):
    with pytest.raises(ValueError, match="not JSON compliant"):
        body(served, REQUEST, [{"bald": float("nan")}], {}, binary=False)
