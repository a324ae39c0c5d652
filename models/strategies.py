"""The strategies: which castings to label next.

A strategy is a function `(evidence, size, generator) -> indices` with an attribute `needs` that
names what it reads of the evidence; the acquisition job asks the service for just that. It
returns `size` distinct indices in order of choice and writes into nothing. Castings come in order
of casting id. `STRATEGIES` is the whole table: command line, help and check-suite read it; a
strategy of the user's own is named `package.module:function`.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor

from models import scores
from models.batches import gumbel, one_per_part, top_scoring, uniform_order
from models.errors import DataError


@dataclass(frozen=True)
class Evidence:
    """What is known about N candidates; only what a strategy `needs` is filled in.

    Attributes:
        count: N.
        probs_N_K_C: class probabilities of every pass.
        deterministic_N_C: class probabilities without dropout.
        embeddings_N_F: features before the last layer.
        parts_N: the part of each casting.
    """

    count: int
    probs_N_K_C: Tensor | None = None
    deterministic_N_C: Tensor | None = None
    embeddings_N_F: Tensor | None = None
    parts_N: Sequence[str] | None = None

    def __len__(self) -> int:
        return self.count

    def posterior(self) -> Tensor:
        """`probs_N_K_C`, for a strategy that needs it."""
        return _present(self.probs_N_K_C, "probs_N_K_C")

    def verdicts(self) -> Tensor:
        """`deterministic_N_C`, for a strategy that needs it."""
        return _present(self.deterministic_N_C, "deterministic_N_C")

    def rows(self, indices: Sequence[int]) -> "Evidence":
        """The evidence about some of the candidates."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)

        def of(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[chosen]

        return replace(
            self,
            count=len(indices),
            probs_N_K_C=of(self.probs_N_K_C),
            deterministic_N_C=of(self.deterministic_N_C),
            embeddings_N_F=of(self.embeddings_N_F),
            parts_N=None if self.parts_N is None else [self.parts_N[i] for i in indices],
        )


class Strategy(Protocol):
    """The shape of a strategy; `needs` is an attribute of the function, default the posterior."""

    def __call__(
        self, evidence: Evidence, size: int, generator: torch.Generator, /
    ) -> Tensor | Sequence[int]:
        """Choose `size` of the candidates."""


EVIDENCE = frozenset(f.name for f in fields(Evidence)) - {"count"}


def needing(*needs: str) -> Callable[[Strategy], Strategy]:
    """Say what a strategy needs, on the function itself."""

    def mark(strategy: Strategy) -> Strategy:
        strategy.__dict__["needs"] = needs
        return strategy

    return mark


def needs_of(strategy: Strategy) -> tuple[str, ...]:
    """What a strategy needs, default `probs_N_K_C`.

    Raises:
        DataError: it asks for something that there is not.
    """
    needs = tuple(getattr(strategy, "needs", ("probs_N_K_C",)))
    unknown = sorted(set(needs) - EVIDENCE)
    if unknown:
        raise DataError(
            f"a strategy needs {', '.join(unknown)}; there is {', '.join(sorted(EVIDENCE))}"
        )
    return needs


@needing()
def random(evidence: Evidence, size: int, generator: torch.Generator) -> Tensor:
    """Uniform: what every other strategy has to beat."""
    return uniform_order(len(evidence), size, generator)


@needing("deterministic_N_C")
def least_confidence(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Largest probability smallest (Lewis & Gale 1994)."""
    return top_scoring(scores.least_confidence(evidence.verdicts()), size)


@needing("deterministic_N_C")
def margin(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Two best classes closest (Scheffer 2001)."""
    return top_scoring(-scores.margin(evidence.verdicts()), size)


@needing("deterministic_N_C")
def entropy(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Entropy of the pass without dropout highest."""
    return top_scoring(scores.entropy(evidence.verdicts()), size)


@needing("probs_N_K_C")
def dbal(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Predictive entropy under MC dropout highest (Gal, Islam & Ghahramani 2017)."""
    return top_scoring(scores.predictive_entropy(evidence.posterior()), size)


@needing("probs_N_K_C")
def bald(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Passes most at odds: mutual information highest (Houlsby 2011; Gal 2017)."""
    return top_scoring(scores.bald(evidence.posterior()), size)


@needing("probs_N_K_C")
def variation_ratio(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Fewest passes agree with the modal class (Gal 2017)."""
    return top_scoring(scores.variation_ratio(evidence.posterior()), size)


@needing("probs_N_K_C")
def power_bald(evidence: Evidence, size: int, generator: torch.Generator) -> Tensor:
    """Log BALD plus Gumbel(0, 1) noise: a batch that is not all of one kind (Kirsch 2023).

    BALD below the resolution at which scores are compared counts as that resolution.
    """
    informative_N = scores.bald(evidence.posterior()).double().clamp(min=1e-6)
    return top_scoring(informative_N.log() + gumbel(len(evidence), 1.0, generator), size)


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "random": random,
        "least-confidence": least_confidence,
        "margin": margin,
        "entropy": entropy,
        "dbal": dbal,
        "bald": bald,
        "variation-ratio": variation_ratio,
        "power-bald": power_bald,
    }
)


def find_strategy(name: str) -> Strategy:
    """The strategy of that name in the table, or the function `package.module:function`.

    Raises:
        DataError: there is none.
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    module, colon, function = name.partition(":")
    if not colon:
        raise DataError(
            f"no strategy {name!r}; there are {', '.join(STRATEGIES)}, "
            f"and your own as package.module:function"
        )
    try:
        strategy: Strategy = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise DataError(f"--strategy {name}: {error}; is it importable from here?") from error
    if not callable(strategy):
        raise DataError(f"--strategy {name}: not a function")
    needs_of(strategy)
    return strategy


def choose_batch(
    strategy: Strategy,
    evidence: Evidence,
    parts_N: Sequence[str],
    size: int,
    generator: torch.Generator,
) -> list[int]:
    """Let the strategy choose, at most one casting a part while parts remain.

    Raises:
        DataError: the strategy returned the wrong number of castings, or one twice.
    """

    def choose(candidates: list[int], wanted: int) -> list[int]:
        count = len(candidates)
        some = evidence if count == len(evidence) else evidence.rows(candidates)
        picked = [int(i) for i in strategy(some, wanted, generator)]
        distinct = set(picked)
        if len(picked) != wanted or len(distinct) != wanted or not distinct <= set(range(count)):
            raise DataError(
                f"the strategy was asked for {wanted} of {count} castings and returned "
                f"{len(picked)} indices, {len(distinct)} of them distinct"
            )
        return [candidates[i] for i in picked]

    return one_per_part(parts_N, size, choose)


def _present(tensor: Tensor | None, name: str) -> Tensor:
    if tensor is None:
        raise DataError(f"the strategy reads {name} but does not name it in its `needs`")
    missing = int(tensor.isnan().flatten(1).any(dim=1).sum())
    if missing:
        raise DataError(f"{name} is NaN for {missing} of {len(tensor)} castings")
    return tensor
