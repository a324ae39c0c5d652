"""From scores to a batch: which castings, in which order.

Castings come in order of casting id, so ties, and whatever noise is drawn, do not depend on the
order in which files were found.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

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


def uniform_order(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Draw `size` of `count` indices uniformly, without repetition."""
    return torch.randperm(count, generator=generator)[:size]


def gumbel(count: int, scale: float, generator: torch.Generator) -> Tensor:
    """Draw Gumbel(0, `scale`) noise `[count]`, float64."""
    uniform_N = torch.rand(count, generator=generator, dtype=torch.float64)
    tiny = torch.finfo(torch.float64).tiny
    return -scale * torch.log(-torch.log(uniform_N.clamp(min=tiny)))


def one_per_part(
    parts_N: Sequence[str], size: int, choose: Callable[[list[int], int, list[int]], list[int]]
) -> list[int]:
    """Fill a batch with at most one casting a part, as long as parts remain.

    `choose(candidates, size, batch)` returns `size` of the candidates in order of choice, knowing
    what the batch holds already. It is asked again for what is missing, without the castings of
    parts already in the batch; when every part has one, the parts open again.

    Args:
        parts_N: the part of each casting; a casting without one is a part of its own.
        size: castings wanted; more than there are gives all.
        choose: the strategy, over indices into `parts_N`.

    >>> one_per_part(["a", "a", "b"], 3, lambda candidates, size, _: candidates[:size])
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
