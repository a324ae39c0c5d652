"""The body of an answer: JSON, or safetensors with the JSON in its metadata."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from safetensors.torch import save
from torch import Tensor

from models.prediction.predictor import Answer
from service.hosting.version_cache import Served
from service.scoring.request import ScoreRequest, Unknown


def body(
    served: Served,
    request: ScoreRequest,
    rows: Sequence[Answer | Unknown],
    included: Mapping[str, Tensor],
    *,
    binary: bool,
) -> bytes:
    """The answer to a request, from its rows and the tensors asked for."""
    answer: dict[str, Any] = {
        "model": {
            "name": served.version.name,
            "version": served.version.number,
            "run_id": served.version.run_id,
            "classes": served.predictor.classes,
        },
        "passes": request.passes,
        "seed": request.seed,
        "castings": rows,
    }
    if binary:
        return save(dict(included), metadata={"json": _json(answer)})
    lists = {name: tensor.tolist() for name, tensor in included.items()}
    return _json(answer | lists).encode()


def _json(body: object) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
