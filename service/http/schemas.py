"""The bodies of requests and answers as OpenAPI shows them; tests hold answers against them."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from service.hosting.model_host import RegistryState
from service.refusals import BadImage
from service.scoring import request

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Number = Annotated[str, Field(pattern="^[0-9]+$", description="default: the current one")]


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
    bald_standard_error: float | None = Field(description="jackknife over passes; null for one")
    variation_ratio: float


class UnknownRow(_Body):
    """A casting that was said to be known and is not; the tensors have no row for it."""

    casting: str
    unknown: str = Field(description="what to do about it")


class ScoreBody(_Body):
    """The answer of POST /score; castings stand in the order sent."""

    model: ModelName
    passes: int
    seed: int
    castings: list[CastingRow | UnknownRow]
    posterior: list[list[list[float]]] | None = Field(None, description="[N, K, C], if included")
    embedding: list[list[float]] | None = Field(None, description="[N, F], if included")


class PreprocessingBody(_Body):
    """What is done to a photograph before the network sees it."""

    size: int
    channels: int
    mean: list[float] = Field(description="of each channel, of pixels in 0..1")
    std: list[float]
    bits: int = Field(description="in use of images of 16 bits")
    least_bits: int = Field(description="in use of the darkest casting of 16 bits; 0: unknown")
    fit: str = Field(description="stretch, or pad: the longer side fits")


class ModelBody(ModelName):
    """What is served."""

    good: str | None = Field(description='the class that means "no defect"')
    threshold: float = Field(description="rejected when P(defect) is at least this")
    temperature: float
    preprocessing: PreprocessingBody
    precision: str = Field(description="bf16 or fp32")
    since: datetime
    pinned: list[str] = Field(description="other versions that are loaded")
    registry: RegistryState


class ErrorBody(_Body):
    """Why there is no answer."""

    error: str
    images: list[BadImage] = Field(description="images to blame, if any")


class NoSuchVersionBody(ErrorBody):
    """The registry has no such version."""

    served: str | None = Field(description="the current version")
    asked: str


class NoModelBody(ErrorBody):
    """No model can be served yet."""

    registry: RegistryState


class ScoreForm(_Body):
    """What POST /score takes."""

    images: list[bytes] = Field(
        default_factory=list, description="the part is repeated, once per image"
    )
    known: list[_Sha256] = Field(
        default_factory=list,
        description="in the place of an image, repeated: the SHA-256 of a casting that was "
        "embedded before; its row says `unknown` where it was not. At least one of both",
    )
    passes: int = Field(request.DEFAULT_PASSES, ge=1, le=request.MAX_PASSES)
    seed: int = Field(request.DEFAULT_SEED, ge=0, le=request.MAX_SEED)
    model_version: _Number | SkipJsonSchema[None] = None
    include: str = Field("", description=f"comma list of {', '.join(request.INCLUDABLE)}")


class ExplainForm(_Body):
    """What POST /explain takes."""

    images: bytes = Field(description="exactly one part")
    model_version: _Number | SkipJsonSchema[None] = None
