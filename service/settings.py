"""What the environment says about the service, read once, when a worker starts."""

import unicodedata
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.embeddings import MOST_BYTES
from models.errors import ServiceError
from models.images import MAX_PIXELS

PACKED = Path(__file__).resolve().parent.parent / "version"  # what `make bento` packs
_MEBIBYTE = 2**20

# The descriptions are what an error says is needed.
_Count = Annotated[int, Field(ge=0, description="a whole number, at least 0,")]
_Size = Annotated[int, Field(ge=1, description="a whole number, at least 1,")]
_Seconds = Annotated[
    float, Field(gt=0, allow_inf_nan=False, description="a number of seconds above 0")
]


def _default_model() -> str:
    return str(PACKED) if PACKED.is_dir() else "models:/casting-defects@current"


def _default_in_flight(others: dict[str, int]) -> int:
    return max(512 * _MEBIBYTE, others.get("max_body_bytes", 0))


class Settings(BaseSettings):
    """How a worker serves: each attribute by its variable, `CASTING_PINNED` for `pinned`.

    An empty variable counts as unset.

    Attributes:
        model: `models:/NAME@ALIAS`, `models:/NAME/NUMBER`, or a folder with an exported version;
            by default the version that a Bento carries, where there is one.
        pinned: versions kept loaded beside the current one.
        api_key: what clients send as `Authorization: Bearer`; None asks for nothing.
        poll_seconds: time between two looks at the registry.
        max_waiting: requests that may wait while one is computed.
        max_images: images per request.
        max_body_bytes: bytes per request.
        max_in_flight_bytes: bytes of all requests that are being received or computed.
        max_pixels: pixels per image, judged by its header.
        max_request_pixels: of all images of a request together, likewise.
        embeddings: the folder where embeddings are kept, shared with jobs.
        embeddings_bytes: that these may take on disk, roughly.
    """

    model_config = SettingsConfigDict(env_prefix="CASTING_", env_ignore_empty=True, frozen=True)

    model: str = Field(default_factory=_default_model)
    pinned: _Count = 2
    api_key: str | None = Field(default=None, repr=False)
    poll_seconds: _Seconds = 5.0
    max_waiting: _Count = 64
    max_images: _Size = 256
    max_body_bytes: _Size = 64 * _MEBIBYTE
    max_in_flight_bytes: _Size = Field(default_factory=_default_in_flight)
    max_pixels: _Size = MAX_PIXELS
    max_request_pixels: _Size = 4 * MAX_PIXELS
    embeddings: Path = Path("embeddings")
    embeddings_bytes: _Size = MOST_BYTES

    @classmethod
    def read(cls) -> "Settings":
        """The settings of this process's environment.

        Raises:
            ServiceError: a variable is not a number, or is too small.
        """
        try:
            return cls()
        except ValidationError as invalid:
            error = invalid.errors()[0]
            name = str(error["loc"][0])
            needed = error.get("ctx", {}).get("error") or cls.model_fields[name].description
            value = "" if name == "api_key" else f"={error['input']}"
            text = f"CASTING_{name.upper()}{value}: {needed} is needed"
            raise ServiceError(text) from None

    @field_validator("api_key", mode="before")
    @classmethod
    def _stripped(cls, key: str | None) -> str | None:
        """As `jobs.adapters.environment.api_key` has it."""
        key = (key or "").strip()
        if any(unicodedata.category(character) in {"Cc", "Cs"} for character in key):
            raise ValueError("text without line breaks and other control characters")
        return key or None

    @field_validator("max_in_flight_bytes")
    @classmethod
    def _lets_one_in(cls, value: int, others: ValidationInfo) -> int:
        least = others.data.get("max_body_bytes", 0)
        if value < least:
            raise ValueError(f"a whole number, at least {least},")
        return value
