"""Strategies that look at where castings lie among the model's features: cover, spread, typify.

Castings that are labelled, or in the batch already, count as chosen.
"""

import heapq
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from models.acquisition.candidates import Evidence, needing
from models.acquisition.clustering import (
    comparable,
    drawn_far_apart,
    euclidean,
    farthest_first,
    in_slices,
    k_means,
    nearest,
    nearest_to,
    normalised,
    spaced,
)
from models.acquisition.selection import top_scoring

NEIGHBOURS = 20  # of typiclust
_CLUSTERS = 500  # of typiclust, where the batch is smaller; as its authors' code has it
_SMALL_CLUSTER = 5  # members below which typiclust takes a cluster for strays
_IMPURE = 0.05  # share of balls that probcover lets hold two pseudo-labels
_QUERIES = 4000  # castings from whose surroundings probcover takes δ
_ROWS = 512  # of probcover's distances at a time; a multiple of 8
_COVERED = 120_000  # castings that probcover tries to cover; evenly spaced ones of more

_Bits = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
_Counts = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@needing("embeddings_N_F", "labelled_embeddings_M_F")
def coreset(evidence: Evidence, size: int, _: torch.Generator) -> Tensor:
    """Farthest from everything labelled or picked: greedy k-centre (Sener & Savarese 2018).

    At a cold start the first is the one nearest to the mean of the pool.
    """
    points_N_F, known_P_F = comparable(evidence.embeddings(), evidence.known_embeddings())
    between, count = euclidean(points_N_F), len(points_N_F)
    batch: list[int] = []
    if len(known_P_F):
        nearest_N, _index = nearest(points_N_F, known_P_F)
    else:
        batch = top_scoring(-points_N_F.square().sum(dim=1), 1).tolist()
        nearest_N = nearest_to(batch, between, count)
    batch += farthest_first(size - len(batch), nearest_N, between)
    return torch.tensor(batch, dtype=torch.int64)


@needing("deterministic_N_C", "embeddings_N_F")
def badge(evidence: Evidence, size: int, generator: torch.Generator) -> Tensor:
    """Large and different gradients of the last layer, drawn by k-means++ (Ash 2020).

    The gradient of casting i under the class it is given is (p − e_ŷ) ⊗ z; its products are those
    of the two factors, so that `[N, C·F]` is never made. The first is the largest gradient.
    """
    residuals_N_C, features_N_F = _factors(evidence)
    if evidence.picked is not None:
        more_P_C, more_P_F = _factors(evidence.picked)
        residuals_N_C = torch.cat([residuals_N_C, more_P_C])
        features_N_F = torch.cat([features_N_F, more_P_F])
    lengths_N = residuals_N_C.square().sum(dim=1) * features_N_F.square().sum(dim=1)

    def between(rows: slice | Tensor, others: Tensor) -> Tensor:
        products = residuals_N_C[rows] @ residuals_N_C[others].T
        products *= features_N_F[rows] @ features_N_F[others].T
        return products.mul_(-2).add_(lengths_N[rows, None]).add_(lengths_N[others]).clamp_(min=0)

    picked = list(range(len(evidence), len(lengths_N)))
    batch = [] if picked else top_scoring(lengths_N, 1).tolist()
    nearest_N = nearest_to(picked or batch, between, len(lengths_N))
    batch += drawn_far_apart(size - len(batch), nearest_N, between, generator)
    return torch.tensor(batch, dtype=torch.int64)


def _factors(evidence: Evidence) -> tuple[Tensor, Tensor]:
    """The residuals `[N, C]` and the features `[N, F]` whose outer product is the gradient."""
    features_N_F = evidence.embeddings()
    probs_N_C = evidence.verdicts().to(features_N_F.dtype)
    given_N_C = torch.nn.functional.one_hot(probs_N_C.argmax(dim=1), probs_N_C.shape[1])
    return probs_N_C - given_N_C, features_N_F


@needing("embeddings_N_F", "labelled_embeddings_M_F")
def typiclust(evidence: Evidence, size: int, generator: torch.Generator) -> Tensor:
    """Most typical casting of each cluster that has no label yet (Hacohen 2022).

    A cluster for each casting labelled or to be picked (500 at most, but one a pick); those
    with fewest labels first, then the largest; clusters of fewer than 5 castings last.
    """
    pool_N_F, known_P_F = evidence.embeddings(), evidence.known_embeddings()
    points_N_F = normalised(torch.cat([pool_N_F, known_P_F]))
    count, known = len(pool_N_F), len(known_P_F)
    clusters = max(size, min(known + size, _CLUSTERS))
    labels_N = k_means(points_N_F, clusters, generator)
    members = torch.bincount(labels_N, minlength=clusters).tolist()
    covered = torch.bincount(labels_N[count:], minlength=clusters).tolist()
    queue = [(members[c] < _SMALL_CLUSTER, covered[c], -members[c], c) for c in range(clusters)]
    heapq.heapify(queue)
    typical: dict[int, Iterator[int]] = {}
    batch: list[int] = []
    while len(batch) < size:
        small, labels, minus_size, cluster = queue[0]
        if cluster not in typical:
            rows = (labels_N[:count] == cluster).nonzero()[:, 0]
            typical[cluster] = iter(rows[_by_typicality(points_N_F[rows])].tolist())
        index = next(typical[cluster], None)
        if index is None:
            heapq.heappop(queue)
        else:
            batch.append(index)
            heapq.heapreplace(queue, (small, labels + 1, minus_size, cluster))
    return torch.tensor(batch, dtype=torch.int64)


def _by_typicality(points_N_F: Tensor) -> Tensor:
    """Order `[N]` of points by mean distance to their 20 nearest, or all, others; least first."""
    others = min(NEIGHBOURS, len(points_N_F) - 1)
    mean_N = torch.zeros(len(points_N_F), dtype=points_N_F.dtype)
    if others > 0:
        for rows, squared_n_N in in_slices(points_N_F, points_N_F):
            own = torch.arange(len(points_N_F))[rows].unsqueeze(1)
            squared_n_N.scatter_(1, own, torch.inf)
            near_n_K = squared_n_N.topk(others, dim=1, largest=False).values
            mean_N[rows] = near_n_K.sqrt().mean(dim=1)
    return top_scoring(-mean_N, len(points_N_F))


@needing("embeddings_N_F", "labelled_embeddings_M_F", "labelled_classes_M")
def probcover(evidence: Evidence, size: int, generator: torch.Generator) -> Tensor:
    """Balls around the picked that cover most castings not yet covered (Yehuda 2022).

    The radius δ is the largest at which 95 % of the balls hold castings of one pseudo-label:
    k-means with as many clusters as there are classes among the labels, two at a cold start. When
    all are covered, the lowest indices follow.
    """
    pool_N_F, known_P_F = evidence.embeddings(), evidence.known_embeddings()
    both = normalised(torch.cat([pool_N_F, known_P_F]))
    classes_M = evidence.classes()
    pseudo_classes = max(2, int(classes_M.max()) + 1 if len(classes_M) else 0)
    delta = pure_radius(both, k_means(both, pseudo_classes, generator))
    points_N_F, known_P_F = both[: len(pool_N_F)], both[len(pool_N_F) :]
    targets_T_F = points_N_F[spaced(len(points_N_F), _COVERED)]
    within_T_B, gains_N = _balls(points_N_F, targets_T_F, delta)
    open_T = (nearest(targets_T_F, known_P_F)[0].sqrt() >= delta).numpy()
    _take_away(gains_N, within_T_B, np.flatnonzero(~open_T))
    batch: list[int] = []
    for _pick in range(size):
        best = int(gains_N.argmax())
        byte, bit = divmod(best, 8)
        covers_T = (within_T_B[:, byte] >> (7 - bit) & 1).astype(bool) & open_T
        _take_away(gains_N, within_T_B, np.flatnonzero(covers_T))
        open_T &= ~covers_T
        batch.append(best)
        gains_N[best] = -1 - len(targets_T_F)
    return torch.tensor(batch, dtype=torch.int64)


def pure_radius(points_N_F: Tensor, pseudo_labels_N: Tensor) -> float:
    """The largest radius at which 95 % of the balls around points hold one pseudo-label.

    A ball is pure up to the nearest point of another label, so this is the 5 % quantile of those
    distances; taken around at most 4,000 evenly spaced points. With one label every ball is pure:
    infinite.
    """
    queries = spaced(len(points_N_F), _QUERIES)
    distance_Q = torch.full((len(queries),), torch.inf, dtype=points_N_F.dtype)
    for label in pseudo_labels_N.unique().tolist():
        own_Q = pseudo_labels_N[queries] == label
        others = points_N_F[pseudo_labels_N != label]
        distance_Q[own_Q] = nearest(points_N_F[queries[own_Q]], others)[0].sqrt()
    impure = int(_IMPURE * len(queries))
    return float(distance_Q.sort().values[impure])


def _balls(points_N_F: Tensor, targets_T_F: Tensor, delta: float) -> tuple[_Bits, _Counts]:
    """Which points are nearer than δ to each target, bits `[T, N / 8]`; targets a point `[N]`.

    Where every point is a target, each pair is looked at once.
    """
    count, every = len(points_N_F), len(points_N_F) == len(targets_T_F)
    within_T_B = np.zeros((len(targets_T_F), (count + 7) // 8), dtype=np.uint8)
    halves_N = points_N_F.square().sum(dim=1) / 2
    bounds_T = (targets_T_F.square().sum(dim=1, keepdim=True) - delta**2) / 2
    for start in range(0, len(targets_T_F), _ROWS):
        stop, first = start + _ROWS, start if every else 0
        # |x - y| < δ where x · y - |y|² / 2 > (|x|² - δ²) / 2
        near = torch.addmm(
            halves_N[first:], targets_T_F[start:stop], points_N_F[first:].T, beta=-1
        )
        within = (near > bounds_T[start:stop]).numpy()
        within_T_B[start:stop, first // 8 :] = np.packbits(within, axis=1)
        if every and stop < count:
            mirrored = np.ascontiguousarray(within[:, _ROWS:].T)
            within_T_B[stop:, start // 8 : stop // 8] = np.packbits(mirrored, axis=1)
    counts_N = np.zeros(count, dtype=np.int64)
    _take_away(counts_N, within_T_B, np.arange(len(targets_T_F)))
    return within_T_B, -counts_N


def _take_away(counts_N: _Counts, within_T_B: _Bits, targets: _Counts) -> None:
    """These targets are covered: nobody gains by covering them again."""
    for start in range(0, len(targets), 255):  # a sum of 255 bits fits a byte
        bits = np.unpackbits(within_T_B[targets[start : start + 255]], axis=1, count=len(counts_N))
        counts_N -= bits.sum(axis=0, dtype=np.uint8)
