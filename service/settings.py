"""What the environment says about the service, read once, when a worker starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.errors import ServiceError
from models.images import MAX_PIXELS

PACKED = Path(__file__).resolve().parent.parent / "version"  # what `make bento` packs
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Settings:
    """How a worker serves.

    Attributes:
        model: `models:/NAME@ALIAS`, `models:/NAME/NUMBER`, or a folder with an exported version.
        pinned: versions kept loaded beside the current one.
        api_key: what clients send as `Authorization: Bearer`; None asks for nothing.
        poll_seconds: time between two looks at the registry.
        max_waiting: requests that may wait while one is computed.
        max_images: images a request.
        max_body: bytes a request.
        max_in_flight: bytes of all requests that are being received or computed.
        max_pixels: pixels an image, judged by its header.
    """

    model: str = "models:/casting-defects@current"
    pinned: int = 2
    api_key: str | None = field(default=None, repr=False)
    poll_seconds: float = 5.0
    max_waiting: int = 64
    max_images: int = 256
    max_body: int = 64 * _MEBIBYTE
    max_in_flight: int = 512 * _MEBIBYTE
    max_pixels: int = MAX_PIXELS

    @classmethod
    def read(cls, environment: Mapping[str, str], packed: Path = PACKED) -> "Settings":
        """Take the `CASTING_...` variables; an empty one counts as unset.

        Args:
            environment: the variables.
            packed: folder of the version that a Bento carries; the default of `CASTING_MODEL`
                where it exists.

        Raises:
            ServiceError: a variable is not a number, or is too small.
        """
        number = _Numbers(environment)
        max_body = number.whole("CASTING_MAX_BODY_BYTES", cls.max_body)
        return cls(
            model=environment.get("CASTING_MODEL")
            or (str(packed) if packed.is_dir() else cls.model),
            pinned=number.whole("CASTING_PINNED", cls.pinned, least=0),
            api_key=environment.get("CASTING_API_KEY", "").strip() or None,
            poll_seconds=number.seconds("CASTING_POLL_SECONDS", cls.poll_seconds),
            max_waiting=number.whole("CASTING_MAX_WAITING", cls.max_waiting, least=0),
            max_images=number.whole("CASTING_MAX_IMAGES", cls.max_images),
            max_body=max_body,
            max_in_flight=number.whole(
                "CASTING_MAX_IN_FLIGHT_BYTES", max(cls.max_in_flight, max_body), least=max_body
            ),
            max_pixels=number.whole("CASTING_MAX_PIXELS", cls.max_pixels),
        )


@dataclass(frozen=True)
class _Numbers:
    environment: Mapping[str, str]

    def whole(self, name: str, default: int, least: int = 1) -> int:
        text = self.environment.get(name) or str(default)
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise ServiceError(f"{name}={text}: a whole number, at least {least}, is needed")
        return value

    def seconds(self, name: str, default: float) -> float:
        text = self.environment.get(name) or str(default)
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise ServiceError(f"{name}={text}: a number of seconds above 0 is needed")
        return value
