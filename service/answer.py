"""From features to the body of an answer: JSON, or safetensors with the JSON in its metadata."""

import json
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from models.predictor import MINIBATCH, Answer
from service.form import ScoreRequest
from service.shelf import Served

JSON = "application/json"
BINARY = "application/octet-stream"


def wants_binary(accept: str) -> bool:
    """Whether the `Accept` header names application/octet-stream.

    Wildcards mean JSON; so does a quality of 0.
    """
    for choice in accept.lower().split(","):
        kind, *options = (part.strip() for part in choice.split(";"))
        if kind == BINARY:
            return not any(_is_zero(option) for option in options)
    return False


def answer(
    served: Served, request: ScoreRequest, embeddings_N_F: Tensor, *, binary: bool
) -> tuple[bytes, list[Answer]]:
    """The body of the answer to a request whose features are known, and the rows in it."""
    castings, posterior_N_K_C = _score(served, request, embeddings_N_F)
    body: dict[str, Any] = {
        "model": {
            "name": served.version.name,
            "version": served.version.number,
            "run_id": served.version.run_id,
            "classes": served.predictor.classes,
        },
        "passes": request.passes,
        "seed": request.seed,
        "castings": castings,
    }
    tensors = {"posterior": posterior_N_K_C, "embedding": embeddings_N_F}
    included = {n: t.contiguous() for n, t in tensors.items() if n in request.include}
    if binary:
        return save(included, metadata={"json": _json(body)}), castings
    lists = {name: tensor.tolist() for name, tensor in included.items()}
    return _json(body | lists).encode(), castings


def _score(
    served: Served, request: ScoreRequest, embeddings_N_F: Tensor
) -> tuple[list[Answer], Tensor]:
    """Rows and, if it is asked for, the float32 posterior.

    Castings go through in minibatches: float64 numbers of 1000 passes are needed for one only.
    """
    contents = [image.data for image in request.images]
    rows: list[Answer] = []
    posteriors: list[Tensor] = []
    for start in range(0, len(contents), MINIBATCH):
        stop = start + MINIBATCH
        scores = served.predictor.score_embeddings(
            embeddings_N_F[start:stop], request.passes, request.seed
        )
        rows += served.predictor.answers(contents[start:stop], scores)
        if "posterior" in request.include:
            posteriors.append(scores.probs_N_K_C.float())
    return rows, torch.cat(posteriors) if posteriors else torch.empty(0)


def _json(body: object) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _is_zero(option: str) -> bool:
    name, _, value = option.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")
