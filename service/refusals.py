"""What a client is told instead of an answer; `service.http.app` makes each an HTTP response.

ServiceError
└── Refusal             status and body
    ├── BadInput        400, whatever is wrong with what was sent
    ├── WrongMediaType  415, the body is no multipart form
    ├── TooLarge        413, more bytes or images than allowed
    ├── TooSlow         408, the body did not come in time
    ├── NoSuchVersion   404, with what is served and what was asked
    └── NotNow          503 with Retry-After: the same request may succeed later
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import ServiceError


@dataclass(frozen=True)
class BadImage:
    """An image that cannot be scored: where it stood, the file name it had, and why."""

    index: int
    name: str
    reason: str


class Refusal(ServiceError):
    """No answer; the text goes to the client."""

    status = 500
    retry_after: int | None = None

    def __init__(self, message: str, images: Sequence[BadImage] = (), **extra: object) -> None:
        super().__init__(message)
        self.images = images
        self.extra = extra


class BadInput(Refusal):
    """What was sent cannot be scored; nothing was."""

    status = 400


class WrongMediaType(Refusal):
    """The body is not multipart/form-data."""

    status = 415


class TooLarge(Refusal):
    """More bytes or images than a request may have."""

    status = 413


class TooSlow(Refusal):
    """The body has not come in time; a smaller one may."""

    status = 408


class NoSuchVersion(Refusal):
    """The registry knows no such version."""

    status = 404

    def __init__(self, message: str, served: str | None, asked: str) -> None:
        super().__init__(message, served=served, asked=asked)


class NotNow(Refusal):
    """No model yet, its registry is away, or too many requests wait."""

    status = 503

    def __init__(self, message: str, retry_after: int, **extra: object) -> None:
        super().__init__(message, (), **extra)
        self.retry_after = retry_after
