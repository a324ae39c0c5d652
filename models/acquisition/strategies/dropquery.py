"""DropQuery: clusters of the castings whose class depends on what is dropped."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.acquisition.candidates import Candidates
from models.acquisition.clustering import most_central
from models.acquisition.strategy import needing


@needing("probs_N_K_C", "deterministic_N_C", "embeddings_N_F")
def dropquery(candidates: Candidates, size: int, generator: torch.Generator) -> Tensor:
    """One per cluster of the castings that most passes class unlike the plain pass (Gupte 2024).

    Kept are castings to which more than half of the passes give another class than the pass
    without dropout; k-means on their features, of length 1, a cluster a pick, and the nearest to
    each centre. Where fewer than asked for are kept, the bar falls to the share of passes that as
    many reach, and all that reach it are clustered: the whole pool where passes never disagree.
    N·K·C, and k-means over those kept.
    """
    passes_N_K = candidates.posterior().argmax(dim=2)
    plain_N = candidates.deterministic().argmax(dim=1)
    others_N = (passes_N_K != plain_N[:, None]).sum(dim=1)
    bar = min(passes_N_K.shape[1] // 2 + 1, int(others_N.topk(size).values[-1]))
    kept = (others_N >= bar).nonzero()[:, 0]
    features, held = [candidates.embeddings()[kept]], 0
    if candidates.picked is not None:
        held = len(candidates.picked)
        features.append(candidates.picked.embeddings())
    points_N_F = normalize(torch.cat(features))
    weights_N = torch.ones(len(points_N_F))
    return kept[most_central(points_N_F, weights_N, size, generator, held)]
