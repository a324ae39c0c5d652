"""Distances and clusters of points `[N, F]`: what strategies that look at features share.

Sums over 100,000 castings go in slices, so that memory beside the points stays in the hundreds of
megabytes. The same points, seed and number of threads give the same bits. Clusters are
scikit-learn's. `drawn_far_apart` and `farthest_first` are ours: they are handed distances, since
BADGE's are products of two factors whose gradients `[N, C·F]` would not fit, and they begin from
what is labelled or picked already, neither of which `kmeans_plusplus` can be told.
"""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits
from torch import Tensor

from models.acquisition.selection import DECIMALS, spaced

_ELEMENTS = 2**24  # of a matrix of distances at a time: 64 MB in float32
_ITERATIONS = 10
_FRONT = 2048  # castings of which the farthest is sought without looking at the others
_RECENT = 32  # draws until all distances are brought up to date
_REFUSED = 16  # draws refused until then
_SEEDS_FROM = 10_000  # castings among which k-means++ draws its first centres

Between = Callable[[slice | Tensor, Tensor], Tensor]
"""Squared distances `[n, m]` of points, by slice or indices `[n]`, from others `[m]`."""


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


def nearest(points_N_F: Tensor, others_P_F: Tensor) -> Tensor:
    """Squared distance `[N]` to the nearest of the others; infinite where there are none."""
    distance_N = points_N_F.new_full((len(points_N_F),), torch.inf)
    if len(others_P_F):
        for rows, squared_n_P in in_slices(points_N_F, others_P_F):
            distance_N[rows] = squared_n_P.amin(dim=1)
    return distance_N


def nearer(nearest_N: Tensor, chosen: list[int], between: Between) -> Tensor:
    """Squared distances to the nearest `[N]` when these are chosen, themselves never again."""
    if not chosen:
        return nearest_N.clone()
    others = torch.tensor(chosen)
    near = [between(rows, others).amin(dim=1) for rows in _slices(len(nearest_N), len(chosen))]
    nearest_N = torch.minimum(nearest_N, torch.cat(near))
    nearest_N[others] = -torch.inf
    return nearest_N


def farthest_first(size: int, nearest_N: Tensor, between: Between) -> list[int]:
    """Greedy k-centre: each time the one whose nearest chosen one is farthest.

    `nearest_N` is negative for what is not to be chosen. A distance to the nearest only falls. So
    only the 2,048 farthest are kept exact, and all are brought up to date when one of the others
    might be farther.
    """
    chosen: list[int] = []
    recent: list[int] = []
    while len(chosen) < size:
        nearest_N = nearer(nearest_N, recent, between)
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
    What is not to be drawn has a negative one in `nearest_N`.
    """
    drawn: list[int] = []
    recent: list[int] = []
    refused = _REFUSED
    up_to_N = nearest_N
    while len(drawn) < size:
        if refused == _REFUSED or len(recent) > min(len(drawn) // 2, _RECENT):
            nearest_N = nearer(nearest_N, recent, between)
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
                fallen_to = between(torch.tensor([index]), torch.tensor(recent)).min()
                if chance * nearest_N[index] > fallen_to:
                    refused += 1
                    continue
        recent.append(index)
        drawn.append(index)
    return drawn


def k_means(
    points_N_F: Tensor, clusters: int, generator: torch.Generator, weights_N: Tensor | None = None
) -> Tensor:
    """The cluster `[N]` of each point: ten rounds of Lloyd's algorithm from k-means++ seeds.

    On one thread, or the last bits would depend on how many there are. Centres that coincide are
    one, and a cluster may stay empty where points nearly do, which is all that scikit-learn warns
    of.
    """
    sample = spaced(len(points_N_F), max(_SEEDS_FROM, 5 * clusters))
    sample_S_F, clusters = points_N_F[sample].numpy(), min(clusters, len(sample))
    sample_S = None if weights_N is None else weights_N[sample].numpy()
    heavy_N = None if weights_N is None else weights_N.numpy()
    seed = int(torch.randint(2**31, (1,), generator=generator))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        drawn_P_F, _ = kmeans_plusplus(
            sample_S_F, clusters, sample_weight=sample_S, random_state=seed
        )
        centres_P_F = np.unique(drawn_P_F, axis=0)
        lloyd = KMeans(len(centres_P_F), init=centres_P_F, n_init=1, max_iter=_ITERATIONS)
        labels_N = lloyd.fit_predict(points_N_F.numpy(), sample_weight=heavy_N)
        return torch.from_numpy(labels_N).long()


def most_central(
    points_N_F: Tensor, weights_N: Tensor, size: int, generator: torch.Generator, held: int = 0
) -> list[int]:
    """Weighted k-means, and the point nearest to each centre; the heaviest cluster's comes first.

    The last `held` of the points are in the batch already: each has a cluster like the `size` that
    are wanted, and counts as the first of whichever it falls into. Where clusters run out, the
    second nearest of each follow, and so on.
    """
    clusters, count = size + held, len(points_N_F) - held
    weights_N = weights_N.to(points_N_F.dtype)
    labels_N = k_means(points_N_F, clusters, generator, weights_N)
    mass_C = torch.zeros(clusters, dtype=points_N_F.dtype).index_add_(0, labels_N, weights_N)
    centre_C_F = points_N_F.new_zeros(clusters, points_N_F.shape[1])
    centre_C_F.index_add_(0, labels_N, points_N_F * weights_N[:, None]).div_(mass_C[:, None])
    distance_N = _squares(points_N_F[:count] - centre_C_F[labels_N[:count]])
    turns = torch.bincount(labels_N[count:], minlength=clusters).tolist()
    labels, masses = labels_N.tolist(), _rounded(mass_C).tolist()
    queue = []
    for index in _rounded(distance_N).argsort(stable=True).tolist():
        queue.append((turns[labels[index]], -masses[labels[index]], index))
        turns[labels[index]] += 1
    return [index for _turn, _mass, index in sorted(queue)[:size]]


def _squares(points_N_F: Tensor) -> Tensor:
    squares_N: Tensor = torch.linalg.vecdot(points_N_F, points_N_F)
    return squares_N


def _slices(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, _ELEMENTS // max(1, columns))
    return (slice(start, start + step) for start in range(0, rows, step))


def _rounded(scores_N: Tensor) -> Tensor:
    return scores_N.double().round(decimals=DECIMALS)
