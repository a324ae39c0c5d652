"""TypiClust: the most typical casting of each cluster without a label."""

import heapq
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.acquisition.candidates import Candidates
from models.acquisition.clustering import in_slices, k_means
from models.acquisition.selection import top_scoring
from models.acquisition.strategy import needing

NEIGHBOURS = 20  # of typiclust
_CLUSTERS = 500  # of typiclust, where the batch is smaller; as its authors' code has it
_SMALL_CLUSTER = 5  # members below which typiclust takes a cluster for strays


@needing("embeddings_N_F", "labelled_embeddings_M_F")
def typiclust(candidates: Candidates, size: int, generator: torch.Generator) -> Tensor:
    """Most typical casting of each cluster that has no label yet (Hacohen 2022).

    A cluster for each casting labelled or to be picked (500 at most, but one per pick); those
    with fewest labels first, then the largest; clusters of fewer than 5 castings last.
    """
    pool_N_F, known_P_F = candidates.embeddings(), candidates.known_embeddings()
    points_N_F = normalize(torch.cat([pool_N_F, known_P_F]))
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
            itself_n_1 = torch.arange(len(points_N_F))[rows].unsqueeze(1)
            squared_n_N.scatter_(1, itself_n_1, torch.inf)
            near_n_K = squared_n_N.topk(others, dim=1, largest=False).values
            mean_N[rows] = near_n_K.sqrt().mean(dim=1)
    return top_scoring(-mean_N, len(points_N_F))
