"""The bodies of requests and answers as OpenAPI shows them; tests hold answers against them."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from service.scoring import request


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ModelName(_Body):
    """The version that scored."""

    name: str
    version: str
    run_id: str
    classes: list[str]


class CastingRow(_Body):
    """What is known of one casting; entropies in nats."""

    casting: str = Field(description="SHA-256 of the bytes received")
    label: str = Field(description="the verdict, from the pass without dropout")
    probabilities: dict[str, float] = Field(description="of the pass without dropout")
    entropy: float
    least_confidence: float
    margin: float = Field(description="largest minus second probability")
    mc_probabilities: dict[str, float] = Field(description="mean over the passes")
    predictive_entropy: float
    expected_entropy: float
    bald: float
    bald_standard_error: float | None = Field(
        description="jackknife over the passes; null for one"
    )
    variation_ratio: float


class ScoreBody(_Body):
    """The answer of POST /score; castings stand in the order sent."""

    model: ModelName
    passes: int
    seed: int
    castings: list[CastingRow]
    posterior: list[list[list[float]]] | None = Field(
        default=None, description="[N, K, C], only if included"
    )
    embedding: list[list[float]] | None = Field(
        default=None, description="[N, F], only if included"
    )


class PreprocessingBody(_Body):
    """What is done to a photograph before the network sees it."""

    size: int
    channels: int
    mean: float
    std: float


class RegistryBody(_Body):
    """What the last look at the registry found."""

    reachable: bool | None = Field(description="null where a folder is served")
    last_seen: datetime | None
    error: str | None = Field(description="why it is not the registry's choice that is served")


class ModelBody(ModelName):
    """What is served."""

    good: str | None = Field(description='the class that means "no defect"')
    threshold: float = Field(description="rejected when P(defect) is at least this")
    temperature: float
    preprocessing: PreprocessingBody
    precision: str = Field(description="int8, bf16 or fp32")
    since: datetime
    pinned: list[str] = Field(description="other versions that are loaded")
    registry: RegistryBody


class BadImageBody(_Body):
    """An image that cannot be read."""

    index: int
    name: str
    reason: str


class ErrorBody(_Body):
    """Why there is no answer."""

    error: str
    images: list[BadImageBody] = Field(description="images to blame, if any")


class NoSuchVersionBody(ErrorBody):
    """The registry has no such version."""

    served: str | None = Field(description="the current version")
    asked: str


class NoModelBody(ErrorBody):
    """No model can be served yet."""

    registry: RegistryBody


SCORE_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["images"],
    "additionalProperties": False,
    "properties": {
        "images": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "format": "binary"},
            "description": "the part is repeated, once per image",
        },
        "passes": {
            "type": "integer",
            "minimum": 1,
            "maximum": request.MAX_PASSES,
            "default": request.DEFAULT_PASSES,
        },
        "seed": {
            "type": "integer",
            "minimum": 0,
            "maximum": request.MAX_SEED,
            "default": request.DEFAULT_SEED,
        },
        "model_version": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "default: the current one",
        },
        "include": {
            "type": "string",
            "description": f"comma list of {', '.join(request.INCLUDABLE)}",
        },
    },
}

EXPLAIN_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["images"],
    "additionalProperties": False,
    "properties": {
        "images": {"type": "string", "format": "binary", "description": "exactly one part"},
        "model_version": SCORE_FORM["properties"]["model_version"],
    },
}
