"""The strategies: which castings to label next.

A strategy is a function `(evidence, size, generator) -> indices` with an attribute `needs` that
names what it reads of the evidence; the acquisition job asks the service for just that. It
returns `size` distinct indices in order of choice and writes into nothing. Castings come in order
of casting id. `STRATEGIES` is the whole table: command line, help and check-suite read it; a
strategy of the user's own is named `package.module:function`.
"""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor

from models import uncertainty
from models.acquisition.candidates import (
    EVIDENCE,
    Evidence,
    Strategy,
    needing,
    needs_of,
    starts_cold,
    wants_members,
)
from models.acquisition.clustering import spaced
from models.acquisition.selection import gumbel, one_per_part, top_scoring, uniform_order
from models.acquisition.strategies.batchbald import batchbald
from models.acquisition.strategies.coreset import badge, coreset, probcover, typiclust
from models.acquisition.strategies.diverse import diverse
from models.acquisition.strategies.novelty import novelty
from models.acquisition.strategies.vaal import OnStep, vaal
from models.errors import DataError

__all__ = [
    "EVIDENCE", "STRATEGIES", "Evidence", "Strategy", "choose_batch", "find_strategy", "needing",
    "needs_of", "random", "starts_cold", "wants_members",
]  # fmt: skip

_TARGET_LABELS = 2000  # of epig: targets times classes
_COMPOSED = "diverse-"


@needing(ranks=True)
def random(evidence: Evidence, size: int, generator: torch.Generator) -> Tensor:
    """Uniform: what every other strategy has to beat."""
    return uniform_order(len(evidence), size, generator)


@needing("deterministic_N_C", ranks=True)
def least_confidence(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Largest probability smallest (Lewis & Gale 1994)."""
    return top_scoring(uncertainty.least_confidence(evidence.verdicts()), size)


@needing("deterministic_N_C", ranks=True)
def margin(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Two best classes closest (Scheffer 2001)."""
    return top_scoring(-uncertainty.margin(evidence.verdicts()), size)


@needing("deterministic_N_C", ranks=True)
def entropy(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Entropy of the pass without dropout highest."""
    return top_scoring(uncertainty.entropy(evidence.verdicts()), size)


@needing("probs_N_K_C", ranks=True)
def dbal(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Predictive entropy under MC dropout highest (Gal, Islam & Ghahramani 2017)."""
    return top_scoring(uncertainty.predictive_entropy(evidence.posterior()), size)


@needing("probs_N_K_C", ranks=True)
def bald(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Passes most at odds: mutual information highest (Houlsby 2011; Gal 2017)."""
    return top_scoring(uncertainty.bald(evidence.posterior()), size)


@needing("probs_N_K_C", ranks=True)
def variation_ratio(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Fewest passes agree with the modal class (Gal 2017)."""
    return top_scoring(uncertainty.variation_ratio(evidence.posterior()), size)


@needing("probs_N_K_C", ranks=True)
def power_bald(evidence: Evidence, size: int, generator: torch.Generator) -> Tensor:
    """Log BALD plus Gumbel(0, 1) noise: a batch that is not all of one kind (Kirsch 2023).

    BALD below the resolution at which scores are compared counts as that resolution.
    """
    informative_N = uncertainty.bald(evidence.posterior()).double().clamp(min=1e-6)
    return top_scoring(informative_N.log() + gumbel(len(evidence), 1.0, generator), size)


@needing("probs_N_K_C", ranks=True, members=True)
def ensemble(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Separately trained members most at odds; among equals the highest entropy (Beluch 2018)."""
    posterior_N_K_C = evidence.posterior()
    by_entropy = top_scoring(uncertainty.predictive_entropy(posterior_N_K_C), len(evidence))
    ratio_N = uncertainty.variation_ratio(posterior_N_K_C)
    return by_entropy[top_scoring(ratio_N[by_entropy], size)]


@needing("probs_N_K_C", ranks=True)
def epig(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Label that tells most about the labels of the whole pool (Bickford Smith 2023).

    The target castings are the pool; of more than 2,000 / C castings evenly spaced ones, which in
    order of casting id are a sample without preference.
    """
    posterior_N_K_C = evidence.posterior()
    targets = spaced(len(evidence), _TARGET_LABELS // posterior_N_K_C.shape[2])
    told_N = uncertainty.expected_predictive_information(posterior_N_K_C, posterior_N_K_C[targets])
    return top_scoring(told_N, size)


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
        "ensemble": ensemble,
        "epig": epig,
        "batchbald": batchbald,
        "badge": badge,
        "coreset": coreset,
        "typiclust": typiclust,
        "probcover": probcover,
        "vaal": vaal,
        "novelty": novelty,
    }
)


def find_strategy(name: str) -> Strategy:
    """The strategy of that name in the table, or the function `package.module:function`.

    `diverse-` before either spreads the batch over the best that it ranks (`models.acquisition.strategies.diverse`).

    Raises:
        DataError: there is none, or `diverse-` stands before one that does not rank.
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    if name.startswith(_COMPOSED):
        return diverse(name, find_strategy(name.removeprefix(_COMPOSED)))
    module, colon, function = name.partition(":")
    if not colon:
        raise DataError(
            f"no strategy {name!r}; there are {', '.join(STRATEGIES)}, your own as "
            f"package.module:function, and {_COMPOSED} before one that ranks"
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
    *,
    on_step: OnStep | None = None,
) -> list[int]:
    """Let the strategy choose, at most one casting a part while parts remain.

    A strategy that `ranks` is asked once, for its whole order. Any other is asked again where
    parts collide, for what is missing, and finds in `evidence.picked` what the batch holds.

    Args:
        strategy: the strategy.
        evidence: what it needs to know about the pool.
        parts_N: the part of each casting.
        size: castings wanted.
        generator: the strategy's draws.
        on_step: told (step, steps, loss) by a strategy that takes it, as `vaal` does.

    Raises:
        DataError: the strategy returned the wrong number of castings, or one twice.
    """

    def asked(asked_of: Strategy, some: Evidence, wanted: int) -> list[int]:
        told = {"on_step": on_step} if "on_step" in inspect.signature(asked_of).parameters else {}
        picked = [int(i) for i in partial(asked_of, **told)(some, wanted, generator)]
        distinct = set(picked)
        if (
            len(picked) != wanted
            or len(distinct) != wanted
            or not distinct <= set(range(len(some)))
        ):
            raise DataError(
                f"the strategy was asked for {wanted} of {len(some)} castings and returned "
                f"{len(picked)} indices, {len(distinct)} of them distinct"
            )
        return picked

    ranking = strategy if getattr(strategy, "ranks", False) else getattr(strategy, "ranking", None)
    some = len(evidence) > 0
    order = asked(ranking, evidence, len(evidence)) if some and ranking is not None else []
    known = replace(evidence, places_N=torch.tensor(order).argsort()) if order else evidence

    def choose(candidates: list[int], wanted: int, batch: list[int]) -> list[int]:
        if ranking is strategy:
            open_to_choice = set(candidates)
            return [i for i in order if i in open_to_choice][:wanted]
        if not batch and len(candidates) == len(known):
            return asked(strategy, known, wanted)
        some = replace(known.rows(candidates), picked=known.rows(batch))
        return [candidates[i] for i in asked(strategy, some, wanted)]

    return one_per_part(parts_N, size, choose)
