"""The OpenAPI document: what FastAPI derives from the routes, and what it cannot know."""

from typing import Any

from pydantic import BaseModel

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
_FILE = {"type": "string", "format": "binary"}

Responses = dict[int | str, dict[str, Any]]


def _error(text: str, model: type[schemas.ErrorBody] = schemas.ErrorBody) -> dict[str, Any]:
    return {"model": model, "description": text}


_LATER = "not now; Retry-After says when"
NO_KEY: Responses = {401: _error("CASTING_API_KEY is set and was not sent")}
NO_MODEL = NO_KEY | {503: _error(_LATER, schemas.NoModelBody)}
REFUSED = NO_KEY | {
    400: _error("what was sent cannot be scored; nothing was"),
    404: _error("no such version", schemas.NoSuchVersionBody),
    408: _error("the body did not come in time"),
    413: _error("too many bytes or images"),
    415: _error("not multipart/form-data"),
    503: _error(_LATER),
}


def form_body(form: type[BaseModel]) -> dict[str, Any]:
    """What an operation says of the form that it reads itself."""
    content = {"multipart/form-data": {"schema": form.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


SCORE_RESPONSE: Responses = {
    200: {
        "model": schemas.ScoreBody,
        "description": f"One row per casting. With Accept: {BINARY} it is a safetensors file "
        f"of the included tensors (float32), with the {JSON} body under the metadata key json.",
        "content": {BINARY: {"schema": _FILE}},
    }
}
EXPLAIN_RESPONSE: Responses = {
    200: {
        "description": "The photograph with its class activation map laid over it.",
        "content": {PNG: {"schema": _FILE}},
        "headers": {
            name: {"description": meaning, "schema": {"type": "string"}}
            for name, meaning in HEADERS.items()
        },
    }
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add BentoML's probes and the API key to FastAPI's document."""
    paths = {
        path: {"get": {"summary": summary, "responses": responses, "security": [{}]}}
        for path, (summary, responses) in _PROBES.items()
    }
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return document | {"paths": document["paths"] | paths, "security": [{}, {"key": []}]}
