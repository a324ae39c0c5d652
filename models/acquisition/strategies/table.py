"""The strategies: which castings to label next.

A strategy is a function `(candidates, size, generator) -> indices` with an attribute `needs` that
names what it reads of the candidates; the acquisition job asks the service for just that. It
returns `size` distinct indices in order of choice and writes into nothing. Castings come in order
of casting id. `STRATEGIES` is the whole table: command line, help and check-suite read it, and a
strategy is imported when it is asked for, one of the user's own in the same way.
"""

from collections.abc import Mapping
from pkgutil import resolve_name
from types import MappingProxyType

from models.acquisition.strategy import Strategy, needs_of
from models.errors import DataError, did_you_mean

STRATEGIES: Mapping[str, str] = MappingProxyType({
    "random": "models.acquisition.strategies.random:random",
    "least-confidence": "models.acquisition.strategies.uncertainty_sampling:least_confidence",
    "margin": "models.acquisition.strategies.uncertainty_sampling:margin",
    "entropy": "models.acquisition.strategies.uncertainty_sampling:entropy",
    "dbal": "models.acquisition.strategies.uncertainty_sampling:dbal",
    "bald": "models.acquisition.strategies.bald:bald",
    "variation-ratio": "models.acquisition.strategies.uncertainty_sampling:variation_ratio",
    "power-bald": "models.acquisition.strategies.bald:power_bald",
    "ensemble": "models.acquisition.strategies.uncertainty_sampling:ensemble",
    "epig": "models.acquisition.strategies.epig:epig",
    "batchbald": "models.acquisition.strategies.batchbald:batchbald",
    "badge": "models.acquisition.strategies.badge:badge",
    "coreset": "models.acquisition.strategies.coreset:coreset",
    "typiclust": "models.acquisition.strategies.typiclust:typiclust",
    "probcover": "models.acquisition.strategies.probcover:probcover",
    "maxherding": "models.acquisition.strategies.maxherding:maxherding",
    "uherding": "models.acquisition.strategies.maxherding:uherding",
    "dropquery": "models.acquisition.strategies.dropquery:dropquery",
    "clue": "models.acquisition.strategies.clue:clue",
    "vaal": "models.acquisition.strategies.vaal:vaal",
    "novelty": "models.acquisition.strategies.novelty:novelty",
})  # fmt: skip
_DIVERSE = "diverse-"


def find_strategy(name: str) -> Strategy:
    """The strategy of that name in the table, or the function `package.module:function`.

    `diverse-` before either spreads the batch over the best that it ranks
    (`models.acquisition.strategies.diverse`).

    Raises:
        DataError: there is none, or `diverse-` stands before one that does not rank.
    """
    if name.startswith(_DIVERSE):
        diverse = resolve_name("models.acquisition.strategies.diverse:diverse")
        composed: Strategy = diverse(name, find_strategy(name.removeprefix(_DIVERSE)))
        return composed
    path = STRATEGIES.get(name, name)
    if ":" not in path:
        meant = did_you_mean(name, STRATEGIES)
        raise DataError(
            f"no strategy {name!r}{meant}; there are {', '.join(STRATEGIES)}, your own as "
            f"package.module:function, and {_DIVERSE} before one that ranks"
        )
    try:
        strategy: Strategy = resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(f"--strategy {name}: {error}; is it importable from here?") from error
    if not callable(strategy):
        raise DataError(f"--strategy {name}: not a function")
    needs_of(strategy)
    return strategy
