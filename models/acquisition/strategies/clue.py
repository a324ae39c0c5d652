"""CLUE: clusters of what the model is unsure of."""

import torch
from torch import Tensor

from models import uncertainty
from models.acquisition.candidates import Candidates
from models.acquisition.clustering import comparable, most_central
from models.acquisition.strategy import needing

_LEAST = 1e-6  # nats; a pool of which the model is sure throughout is clustered all the same


@needing("deterministic_N_C", "embeddings_N_F")
def clue(candidates: Candidates, size: int, generator: torch.Generator) -> Tensor:
    """Nearest to the centre of each cluster, castings weighted by entropy (Prabhu 2021).

    k-means on the features minimises Σ H(p) |z − centre|², a cluster a pick, so that centres lie
    where the model is unsure; the cluster of largest total entropy comes first. k-means: ten
    times N·b·F.
    """
    features = [candidates.embeddings()]
    probs = [candidates.deterministic()]
    held = 0
    if candidates.picked is not None:
        held = len(candidates.picked)
        features.append(candidates.picked.embeddings())
        probs.append(candidates.picked.deterministic())
    (points_N_F,) = comparable(torch.cat(features))
    unsure_N = uncertainty.entropy(torch.cat(probs)).clamp(min=_LEAST)
    return torch.tensor(most_central(points_N_F, unsure_N, size, generator, held))
