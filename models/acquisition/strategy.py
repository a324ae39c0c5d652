"""What a strategy is, and what it says about itself.

By attributes of the function it says what it reads (`needs`) and how it may be treated (`ranks`,
`members`, `cold`); `needing` writes them. Torch is not imported here, so that the command line can
tell strategies apart without it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from models.errors import DataError

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from models.acquisition.candidates import Candidates

OnStep = Callable[[int, int, float], object]
"""Told (position, steps, loss) after each step of something that is trained."""

KNOWABLE = frozenset({
    "probs_N_K_C", "deterministic_N_C", "embeddings_N_F", "labelled_embeddings_M_F",
    "labelled_classes_M", "parts_N", "images",
})  # fmt: skip
"""The attributes of `Candidates` that a strategy may need."""


class Strategy(Protocol):
    """The shape of a strategy.

    Attributes of the function, all optional: `needs`, default the posterior; `ranks`, true where
    it orders the castings by a score each, so that a smaller batch is the beginning of a larger;
    `members`, true where the posterior must come from separately trained networks; `cold`, true
    where it needs images but no labels; `ranking`, the strategy that a composition chooses from.
    """

    def __call__(
        self, candidates: "Candidates", size: int, generator: "Generator", /
    ) -> "Tensor | Sequence[int]":
        """Choose `size` of the candidates."""


def needing(
    *needs: str, ranks: bool = False, members: bool = False, cold: bool = False
) -> Callable[[Strategy], Strategy]:
    """Say what a strategy needs and is, on the function itself."""

    def mark(strategy: Strategy) -> Strategy:
        strategy.__dict__.update(needs=needs, ranks=ranks, members=members, cold=cold)
        return strategy

    return mark


def needs_of(strategy: Strategy) -> tuple[str, ...]:
    """What a strategy needs, default `probs_N_K_C`; DataError for what there is not."""
    needs = tuple(getattr(strategy, "needs", ("probs_N_K_C",)))
    unknown = sorted(set(needs) - KNOWABLE)
    if unknown:
        raise DataError(
            f"a strategy needs {', '.join(unknown)}; there is {', '.join(sorted(KNOWABLE))}"
        )
    return needs


def wants_members(strategy: Strategy) -> bool:
    """Whether its posterior must come from separately trained members, not from dropout."""
    return bool(getattr(strategy, "members", False))


def starts_cold(strategy: Strategy) -> bool:
    """Whether it can choose before anything is labelled: from features alone, or from nothing.

    One that needs images may look at the labelled ones too, unless it says that it is `cold`.
    """
    known = {"embeddings_N_F", "labelled_embeddings_M_F", "labelled_classes_M", "parts_N"}
    if getattr(strategy, "cold", False):
        known.add("images")
    return set(needs_of(strategy)) <= known
