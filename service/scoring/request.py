"""What a client asks to be scored, and the chunks in which minibatches take it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

DEFAULT_PASSES = 50
MAX_PASSES = 1000
DEFAULT_SEED = 0
MAX_SEED = 2**63 - 1
INCLUDABLE = ("posterior", "embedding")


@dataclass(frozen=True)
class Upload:
    """One image as it was sent, or in its place the id of a casting that is `known`.

    The name is the client's, and only ever repeated to it.
    """

    name: str
    data: bytes
    known: str = ""

    @cached_property
    def casting(self) -> str:
        """The casting's id."""
        return self.known or hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class ScoreRequest:
    """What a client asks for.

    Attributes:
        images: at least one; equal ones are computed once.
        passes: dropout draws, 1 to MAX_PASSES.
        seed: of the dropout masks, 0 to MAX_SEED.
        model_version: digits; None means the current version.
        include: of `INCLUDABLE`.
    """

    images: tuple[Upload, ...]
    passes: int = DEFAULT_PASSES
    seed: int = DEFAULT_SEED
    model_version: str | None = None
    include: frozenset[str] = frozenset()

    def chunks(self, shares: int, most: int) -> list["Chunk"]:
        """Each casting once, in `shares` chunks, in more where one would exceed `most`."""
        images = self._distinct
        size = min(most, -(-len(images) // shares))
        return [Chunk(self, images[first : first + size]) for first in range(0, len(images), size)]

    def places(self, castings: Sequence[str]) -> list[int]:
        """Where each image stands among `castings`; one that does not is left out."""
        place = {casting: index for index, casting in enumerate(castings)}
        return [place[image.casting] for image in self.images if image.casting in place]

    @cached_property
    def _distinct(self) -> tuple[Upload, ...]:
        """Each casting once, as the image where there is one of what is said to be known."""
        if len(self.images) == 1:
            return self.images
        found: dict[str, Upload] = {}
        for image in self.images:
            if image.casting not in found or found[image.casting].known:
                found[image.casting] = image
        return tuple(found.values())


class Unknown(TypedDict):
    """The row of a casting that was said to be known and is not."""

    casting: str
    unknown: str


@dataclass(frozen=True)
class Chunk:
    """Castings of one request, one to all of them, that stay together in a minibatch."""

    request: ScoreRequest
    images: Sequence[Upload]

    @property
    def draws(self) -> tuple[int, int]:
        """Passes and seed: whatever has both in common has one posterior."""
        return self.request.passes, self.request.seed
