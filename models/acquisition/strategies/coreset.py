"""Core-set: castings that cover the pool."""

import torch
from torch import Tensor

from models.acquisition.candidates import Candidates
from models.acquisition.clustering import comparable, euclidean, farthest_first, nearer, nearest
from models.acquisition.selection import top_scoring
from models.acquisition.strategy import needing


@needing("embeddings_N_F", "labelled_embeddings_M_F")
def coreset(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """Farthest from everything labelled or picked: greedy k-centre (Sener & Savarese 2018).

    At a cold start the first is the one nearest to the mean of the pool.
    """
    points_N_F, known_P_F = comparable(candidates.embeddings(), candidates.known_embeddings())
    between, nearest_N = euclidean(points_N_F), nearest(points_N_F, known_P_F)
    batch: list[int] = []
    if not len(known_P_F):
        batch = top_scoring(-points_N_F.square().sum(dim=1), 1).tolist()
        nearest_N = nearer(nearest_N, batch, between)
    batch += farthest_first(size - len(batch), nearest_N, between)
    return torch.tensor(batch, dtype=torch.int64)
