"""From scores to a batch: which castings, in which order.

Castings come in order of casting id, so ties, and whatever noise is drawn, do not depend on the
order in which files were found.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from models.acquisition.candidates import Candidates
from models.acquisition.strategy import OnStep, Strategy
from models.errors import DataError

DECIMALS = 6  # scores closer than this are ties: they differ by rounding, not by meaning


def top_scoring(scores_N: Tensor, size: int) -> Tensor:
    """Indices of the `size` highest scores `[size]`, best first; ties go to the lower index.

    Raises:
        ValueError: a score is NaN; it would silently sort first.

    >>> top_scoring(torch.tensor([0.1, 0.9, 0.9]), 2).tolist()
    [1, 2]
    """
    if torch.isnan(scores_N).any():
        raise ValueError(f"{int(torch.isnan(scores_N).sum())} of {len(scores_N)} scores are NaN")
    rounded_N = scores_N.double().round(decimals=DECIMALS)
    return rounded_N.argsort(descending=True, stable=True)[:size]


def spaced(count: int, size: int) -> Tensor:
    """At most `size` of `count` indices, evenly spaced: in order of a hash, a random sample."""
    size = min(size, count)
    return torch.arange(size) * count // max(1, size)


def gumbel(count: int, generator: torch.Generator) -> Tensor:
    """Draw Gumbel(0, 1) noise `[count]`, float64."""
    uniform_N = torch.rand(count, generator=generator, dtype=torch.float64)
    return -torch.log(-torch.log(uniform_N.clamp(min=torch.finfo(torch.float64).tiny)))


def one_per_part(
    parts_N: Sequence[str], size: int, choose: Callable[[list[int], int, list[int]], list[int]]
) -> list[int]:
    """Fill a batch with at most one casting per part, as long as parts remain.

    `choose(eligible, size, batch)` returns `size` of the eligible in order of choice, knowing
    what the batch holds already. It is asked again for what is missing, without the castings of
    parts already in the batch; when every part has one, the parts open again. More than there are
    gives all.

    >>> one_per_part(["a", "a", "b"], 3, lambda eligible, size, _: eligible[:size])
    [0, 2, 1]
    """
    batch: list[int] = []
    taken: set[str] = set()
    left = list(range(len(parts_N)))
    while left and len(batch) < size:
        open_parts = [i for i in left if parts_N[i] not in taken]
        if not open_parts:
            taken.clear()
            continue
        for index in choose(open_parts, min(size - len(batch), len(open_parts)), [*batch]):
            if parts_N[index] not in taken:
                taken.add(parts_N[index])
                batch.append(index)
        chosen = set(batch)
        left = [i for i in left if i not in chosen]
    return batch


def choose_batch(
    strategy: Strategy,
    candidates: Candidates,
    parts_N: Sequence[str],
    size: int,
    generator: torch.Generator,
    *,
    on_step: OnStep | None = None,
) -> list[int]:
    """Let the strategy choose, at most one casting per part while parts remain.

    A strategy that `ranks` is asked once, for its whole order. Any other is asked again where
    parts collide, for what is missing, and finds in `candidates.picked` what the batch holds. One
    that takes `on_step`, as `vaal` does, is handed it. Another number of castings than asked for,
    or one twice, is a DataError.
    """

    def choices(of: Strategy, among: Candidates, wanted: int) -> list[int]:
        told = {"on_step": on_step} if "on_step" in inspect.signature(of).parameters else {}
        indices = [int(i) for i in partial(of, **told)(among, wanted, generator)]
        distinct = set(indices)
        whole = len(indices) == len(distinct) == wanted
        if not whole or not distinct <= set(range(len(among))):
            raise DataError(
                f"the strategy was asked for {wanted} of {len(among)} castings and returned "
                f"{len(indices)} indices, {len(distinct)} of them distinct"
            )
        return indices

    ranking = strategy if getattr(strategy, "ranks", False) else getattr(strategy, "ranking", None)
    order = choices(ranking, candidates, len(candidates)) if ranking and len(candidates) else []
    known = replace(candidates, places_N=torch.tensor(order).argsort()) if order else candidates

    def choose(eligible: list[int], wanted: int, batch: list[int]) -> list[int]:
        if ranking is strategy:
            open_to_choice = set(eligible)
            return [i for i in order if i in open_to_choice][:wanted]
        if not batch and len(eligible) == len(known):
            return choices(strategy, known, wanted)
        left = replace(known.rows(eligible), picked=known.rows(batch))
        return [eligible[i] for i in choices(strategy, left, wanted)]

    return one_per_part(parts_N, size, choose)
