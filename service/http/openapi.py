"""The OpenAPI document: what FastAPI derives from the routes, and what it cannot know."""

from typing import Any

from service.http import schemas
from service.http.explain import HEADERS, PNG
from service.http.negotiation import BINARY, JSON

_PLAIN = {"200": {"description": "yes", "content": {"text/plain": {"schema": {"type": "string"}}}}}
_PROBES = {
    "/livez": ("Whether the worker runs", _PLAIN),
    "/healthz": ("The same as /livez", _PLAIN),
    "/readyz": (
        "Whether a model is served",
        _PLAIN | {"503": {"description": "no", "content": _PLAIN["200"]["content"]}},
    ),
}
_NO_KEY: list[dict[str, list[str]]] = [{}]

Responses = dict[int | str, dict[str, Any]]


def errors(**models: type[schemas.ErrorBody]) -> Responses:
    """Response documentation from `s404=Body`; every route may also answer 401."""
    texts = {
        "s400": "what was sent cannot be scored; nothing was",
        "s401": "CASTING_API_KEY is set and was not sent",
        "s404": "no such version",
        "s408": "the body did not come in time",
        "s413": "too many bytes or images",
        "s415": "not multipart/form-data",
        "s503": "not now; Retry-After says when",
    }
    return {
        int(name[1:]): {"model": model, "description": texts[name]}
        for name, model in ({"s401": schemas.ErrorBody} | models).items()
    }


SCORE_BODY = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": schemas.SCORE_FORM}},
    }
}
SCORE_RESPONSE: Responses = {
    200: {
        "model": schemas.ScoreBody,
        "description": f"One row per casting. With Accept: {BINARY} it is a safetensors file "
        f"of the included tensors (float32), with the {JSON} body under the metadata key json.",
        "content": {BINARY: {"schema": {"type": "string", "format": "binary"}}},
    }
}

EXPLAIN_BODY = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": schemas.EXPLAIN_FORM}},
    }
}
EXPLAIN_RESPONSE: Responses = {
    200: {
        "description": "The photograph with its class activation map laid over it.",
        "content": {PNG: {"schema": {"type": "string", "format": "binary"}}},
        "headers": {
            name: {"description": meaning, "schema": {"type": "string"}}
            for name, meaning in HEADERS.items()
        },
    }
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add BentoML's probes and the API key to FastAPI's document."""
    paths = {
        path: {"get": {"summary": summary, "responses": responses, "security": _NO_KEY}}
        for path, (summary, responses) in _PROBES.items()
    }
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return document | {"paths": document["paths"] | paths, "security": [{}, {"key": []}]}
