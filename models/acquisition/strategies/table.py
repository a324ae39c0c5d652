"""The strategies: which castings to label next.

A strategy is a function `(candidates, size, generator) -> indices` with an attribute `needs` that
names what it reads of the evidence; the acquisition job asks the service for just that. It
returns `size` distinct indices in order of choice and writes into nothing. Castings come in order
of casting id. `STRATEGIES` is the whole table: command line, help and check-suite read it; a
strategy of the user's own is named `package.module:function`.
"""

import importlib
from collections.abc import Mapping
from types import MappingProxyType

from models.acquisition.candidates import (
    KNOWABLE,
    Candidates,
    Strategy,
    needing,
    needs_of,
    starts_cold,
    wants_members,
)
from models.acquisition.selection import (
    choose_batch,
)
from models.acquisition.strategies.badge import badge
from models.acquisition.strategies.bald import bald, power_bald
from models.acquisition.strategies.batchbald import batchbald
from models.acquisition.strategies.coreset import coreset
from models.acquisition.strategies.diverse import diverse
from models.acquisition.strategies.epig import epig
from models.acquisition.strategies.novelty import novelty
from models.acquisition.strategies.probcover import probcover
from models.acquisition.strategies.random import random
from models.acquisition.strategies.typiclust import typiclust
from models.acquisition.strategies.uncertainty_sampling import (
    dbal,
    ensemble,
    entropy,
    least_confidence,
    margin,
    variation_ratio,
)
from models.acquisition.strategies.vaal import vaal
from models.errors import DataError

__all__ = [
    "KNOWABLE", "STRATEGIES", "Candidates", "Strategy", "choose_batch", "find_strategy", "needing",
    "needs_of", "random", "starts_cold", "wants_members",
]  # fmt: skip
_COMPOSED = "diverse-"


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
