"""BADGE: large and different gradients of the last layer."""

import torch
from torch import Tensor

from models.acquisition.candidates import Candidates
from models.acquisition.clustering import drawn_far_apart, nearer
from models.acquisition.selection import top_scoring
from models.acquisition.strategy import needing


@needing("deterministic_N_C", "embeddings_N_F")
def badge(candidates: Candidates, size: int, generator: torch.Generator) -> Tensor:
    """Large and different gradients of the last layer, drawn by k-means++ (Ash 2020).

    The gradient of casting i under the class it is given is (p − e_ŷ) ⊗ z; its products are those
    of the two factors, so that `[N, C·F]` is never made. The first is the largest gradient.
    """
    residuals_N_C, features_N_F = _factors(candidates)
    if candidates.picked is not None:
        more_P_C, more_P_F = _factors(candidates.picked)
        residuals_N_C = torch.cat([residuals_N_C, more_P_C])
        features_N_F = torch.cat([features_N_F, more_P_F])
    lengths_N = residuals_N_C.square().sum(dim=1) * features_N_F.square().sum(dim=1)

    def between(rows: slice | Tensor, others: Tensor) -> Tensor:
        products = residuals_N_C[rows] @ residuals_N_C[others].T
        products *= features_N_F[rows] @ features_N_F[others].T
        return products.mul_(-2).add_(lengths_N[rows, None]).add_(lengths_N[others]).clamp_(min=0)

    picked = list(range(len(candidates), len(lengths_N)))
    batch = [] if picked else top_scoring(lengths_N, 1).tolist()
    nearest_N = nearer(torch.full_like(lengths_N, torch.inf), picked or batch, between)
    batch += drawn_far_apart(size - len(batch), nearest_N, between, generator)
    return torch.tensor(batch, dtype=torch.int64)


def _factors(candidates: Candidates) -> tuple[Tensor, Tensor]:
    """The residuals `[N, C]` and the features `[N, F]` whose outer product is the gradient."""
    features_N_F = candidates.embeddings()
    probs_N_C = candidates.deterministic().to(features_N_F.dtype)
    given_N_C = torch.nn.functional.one_hot(probs_N_C.argmax(dim=1), probs_N_C.shape[1])
    return probs_N_C - given_N_C, features_N_F
