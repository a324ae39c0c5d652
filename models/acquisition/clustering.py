"""Distances and clusters of points `[N, F]`: what strategies that look at features share.

Sums over 100,000 castings go in slices, so that memory beside the points stays in the hundreds of
megabytes. The same points, seed and number of threads give the same bits; scikit-learn's Lloyd
adds its threads' sums in the order in which they finish, and does not from three threads on.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from models.acquisition.selection import DECIMALS

_ELEMENTS = 2**24  # of a matrix of distances at a time: 64 MB in float32
_ITERATIONS = 10
_FRONT = 2048  # castings of which the farthest is sought without looking at the others
_RECENT = 32  # draws until all distances are brought up to date
_REFUSED = 16  # draws refused until then
_SEEDS_FROM = 10_000  # castings among which k-means++ draws its first centres

Between = Callable[[slice | Tensor, Tensor], Tensor]
"""Squared distances `[n, m]` of some points, by slice or indices `[n]`, from others `[m]`."""


def comparable(points_N_F: Tensor, *others: Tensor) -> list[Tensor]:
    """Move points to mean 0 and mean square 1, the others with them.

    Which distance is larger stays as it was; the last digits are no longer lost to an offset, and
    rounding to 1e-6 means the same whatever the features' scale.
    """
    mean_F = points_N_F.mean(dim=0)
    centred_N_F = points_N_F - mean_F
    scale = _squares(centred_N_F).mean().sqrt()
    scale = torch.where(scale > 10**-DECIMALS, scale, 1.0)
    return [centred_N_F.div_(scale), *((other - mean_F) / scale for other in others)]


def normalised(points_N_F: Tensor) -> Tensor:
    """Points of length 1; a point at the origin stays there."""
    lengths_N: Tensor = torch.linalg.vector_norm(points_N_F, dim=1, keepdim=True)
    return points_N_F / lengths_N.clamp(min=1e-12)


def euclidean(points_N_F: Tensor) -> Between:
    """Squared distances between points."""
    squares_N = _squares(points_N_F)

    def between(rows: slice | Tensor, others: Tensor) -> Tensor:
        crossed = points_N_F[rows] @ points_N_F[others].T
        return crossed.mul_(-2).add_(squares_N[rows, None]).add_(squares_N[others]).clamp_(min=0)

    return between


def in_slices(points_N_F: Tensor, others_P_F: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of points from others, a slice `[n, P]` of the points at a time."""
    squares_P = _squares(others_P_F)
    for rows in _slices(len(points_N_F), len(others_P_F)):
        squared_n_P = torch.addmm(squares_P, points_N_F[rows], others_P_F.T, alpha=-2)
        yield rows, squared_n_P.add_(_squares(points_N_F[rows])[:, None]).clamp_(min=0)


def nearest(points_N_F: Tensor, others_P_F: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance `[N]` to the nearest of the others, and its index `[N]`.

    Where there are no others the distance is infinite, and the index 0.
    """
    distance_N = points_N_F.new_full((len(points_N_F),), torch.inf)
    index_N = torch.zeros(len(points_N_F), dtype=torch.int64)
    if not len(others_P_F):
        return distance_N, index_N
    halves_P = _squares(others_P_F) / 2
    for rows in _slices(len(points_N_F), len(others_P_F)):
        half_n_P = torch.addmm(halves_P, points_N_F[rows], others_P_F.T, alpha=-1)
        half_n, index_N[rows] = half_n_P.min(dim=1)
        distance_N[rows] = (2 * half_n + _squares(points_N_F[rows])).clamp_(min=0)
    return distance_N, index_N


def spaced(count: int, size: int) -> Tensor:
    """At most `size` of `count` indices, evenly spaced: in order of a hash, a random sample."""
    size = min(size, count)
    return torch.arange(size) * count // max(1, size)


def nearest_to(chosen: list[int], between: Between, count: int) -> Tensor:
    """Squared distances `[count]` to the nearest of the chosen, themselves not to be chosen."""
    return _nearer(torch.full((count,), torch.inf), chosen, between)


def farthest_first(size: int, nearest_N: Tensor, between: Between) -> list[int]:
    """Greedy k-centre: each time the one whose nearest chosen one is farthest.

    A distance to the nearest only falls. So only the 2,048 farthest are kept exact, and all are
    brought up to date when one of the others might be farther.

    Args:
        size: how many to choose.
        nearest_N: squared distance to the nearest of what there is; negative: not to be chosen.
        between: squared distances.
    """
    chosen: list[int] = []
    recent: list[int] = []
    while len(chosen) < size:
        nearest_N = _nearer(nearest_N, recent, between)
        bounds_N = _rounded(nearest_N)
        order = bounds_N.argsort(descending=True, stable=True)[: _FRONT + 1]
        rest = float(bounds_N[order[_FRONT]]) if len(order) > _FRONT else -torch.inf
        front = order[:_FRONT].sort().values
        near_T, recent = nearest_N[front], []
        while len(chosen) < size:
            farthest = int(_rounded(near_T).argmax())
            if recent and float(_rounded(near_T[farthest])) <= rest:
                break
            recent.append(int(front[farthest]))
            chosen.append(recent[-1])
            near_T = torch.minimum(near_T, between(front, front[farthest : farthest + 1])[:, 0])
            near_T[farthest] = -torch.inf
    return chosen


def drawn_far_apart(
    size: int, nearest_N: Tensor, between: Between, generator: torch.Generator
) -> list[int]:
    """k-means++: each drawn in proportion to its squared distance from the nearest before it.

    Arthur & Vassilvitskii 2007. It is drawn by the distances as they were some draws ago, and kept
    with the chance by which its own has fallen since: the same distribution, and all distances
    need be known only now and then. Where all that are left lie on one drawn, the lowest index.

    Args:
        size: how many to draw.
        nearest_N: squared distance to the nearest of what there is; negative: not to be drawn.
        between: squared distances.
        generator: draws.
    """
    drawn: list[int] = []
    recent: list[int] = []
    refused = _REFUSED
    up_to_N = nearest_N
    while len(drawn) < size:
        if refused == _REFUSED or len(recent) > min(len(drawn) // 2, _RECENT):
            nearest_N = _nearer(nearest_N, recent, between)
            up_to_N, recent, refused = _rounded(nearest_N).clamp_(min=0).cumsum(dim=0), [], 0
        if up_to_N[-1] == 0:
            index = int((nearest_N >= 0).byte().argmax())
            nearest_N[index] = -torch.inf
        else:
            mark, chance = torch.rand(2, generator=generator, dtype=torch.float64)
            index = int(torch.searchsorted(up_to_N, mark * up_to_N[-1], right=True))
            if index in recent:
                refused += 1
                continue
            if recent:
                now = between(torch.tensor([index]), torch.tensor(recent)).min()
                if chance * nearest_N[index] > now:
                    refused += 1
                    continue
        recent.append(index)
        drawn.append(index)
    return drawn


def k_means(points_N_F: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """The cluster `[N]` of each point: ten rounds of Lloyd's algorithm from k-means++ seeds.

    A cluster may stay empty where points coincide.
    """
    sample_S_F = points_N_F[spaced(len(points_N_F), max(_SEEDS_FROM, 5 * clusters))]
    clusters = min(clusters, len(sample_S_F))
    first = int(torch.randint(len(sample_S_F), (1,), generator=generator))
    between = euclidean(sample_S_F)
    nearest_S = nearest_to([first], between, len(sample_S_F))
    farther = drawn_far_apart(clusters - 1, nearest_S, between, generator)
    centres_P_F = sample_S_F[[first, *farther]]
    _, labels_N = nearest(points_N_F, centres_P_F)
    for _ in range(_ITERATIONS):
        sums_P_F = torch.zeros_like(centres_P_F).index_add_(0, labels_N, points_N_F)
        counts_P = torch.bincount(labels_N, minlength=len(centres_P_F)).unsqueeze(1)
        centres_P_F = torch.where(counts_P > 0, sums_P_F / counts_P.clamp(min=1), centres_P_F)
        before_N, (_, labels_N) = labels_N, nearest(points_N_F, centres_P_F)
        if torch.equal(before_N, labels_N):
            break
    return labels_N


def _squares(points_N_F: Tensor) -> Tensor:
    squares_N: Tensor = torch.linalg.vecdot(points_N_F, points_N_F)
    return squares_N


def _nearer(nearest_N: Tensor, chosen: list[int], between: Between) -> Tensor:
    """Squared distances to the nearest `[N]` when these are chosen, themselves never again."""
    if not chosen:
        return nearest_N.clone()
    others = torch.tensor(chosen)
    found = [between(rows, others).amin(dim=1) for rows in _slices(len(nearest_N), len(chosen))]
    nearest_N = torch.minimum(nearest_N, torch.cat(found))
    nearest_N[others] = -torch.inf
    return nearest_N


def _slices(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, _ELEMENTS // max(1, columns))
    return (slice(start, start + step) for start in range(0, rows, step))


def _rounded(scores_N: Tensor) -> Tensor:
    return scores_N.double().round(decimals=DECIMALS)
