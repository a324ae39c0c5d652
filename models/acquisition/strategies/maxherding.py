"""MaxHerding and UHerding: castings whose kernels cover most of the pool."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models import uncertainty
from models.acquisition.candidates import Candidates
from models.acquisition.clustering import in_slices, nearest
from models.acquisition.selection import spaced, top_scoring
from models.acquisition.strategy import needing

_COVERED = 10_000  # castings that are to be covered; evenly spaced ones of more
_COINCIDE = 1e-2  # a distance at which two castings are one; kernels so narrow drown in rounding


@needing("embeddings_N_F", "labelled_embeddings_M_F")
def maxherding(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """Castings whose kernels cover most of the pool, greedily (Bae 2024).

    A casting x is covered by max exp(−|x − s|²) over all s labelled or picked, features of length
    1; a pick is what raises the sum over the pool most. N·T·F, T castings of the pool at most
    10,000, and as much again for every e-fold by which the batch adds to the labels.
    """
    return _herd(candidates, size, torch.ones(len(candidates)), radius=1.0)


@needing("deterministic_N_C", "embeddings_N_F", "labelled_embeddings_M_F")
def uherding(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """As maxherding, weighted by margin, kernels ever narrower (Bae 2025).

    A casting of the pool weighs 1 − margin, and the kernel is exp(−|x − s|²/r²), r the distance of
    the two nearest labelled castings, 1 before there are two that differ: of few labels it covers
    the pool, of many it ranks by margin. Costs what maxherding does. The probabilities are the
    service's; the authors set a temperature on a part of the labels first.
    """
    unsure_N = 1 - uncertainty.margin(candidates.deterministic())
    return _herd(candidates, size, unsure_N, radius=_smallest_distance(candidates))


def _herd(candidates: Candidates, size: int, weights_N: Tensor, radius: float) -> Tensor:
    """Greedy maximum of Σ w max exp(−|x − s|²/r²); the highest gain first.

    Only what a pick covers better than before is looked at again, so the gains are exact, but for
    rounding, and a batch costs little more than its first pick where many are labelled.
    """
    points_N_F = normalize(candidates.embeddings())
    mean_F = points_N_F.mean(dim=0)  # taken off, so that distances of near ones lose no digits
    points_N_F = (points_N_F - mean_F) / radius
    known_P_F = (normalize(candidates.known_embeddings()) - mean_F) / radius
    rows = spaced(len(points_N_F), _COVERED)
    targets_T_F, weights_T = points_N_F[rows], weights_N[rows].to(points_N_F.dtype)
    covered_T = (-nearest(targets_T_F, known_P_F)).exp()
    gains_N = _gains(points_N_F, targets_T_F, weights_T, covered_T, torch.ones_like(covered_T))
    gains_N /= (unit := gains_N.max().clamp(min=torch.finfo(torch.float64).tiny))
    batch: list[int] = []
    for _ in range(size):
        best = top_scoring(gains_N, 1)
        batch.append(int(best))
        near_T = (-nearest(targets_T_F, points_N_F[best])).exp()
        raised = near_T > covered_T
        lost_N = _gains(
            points_N_F, targets_T_F[raised], weights_T[raised], covered_T[raised], near_T[raised]
        )
        gains_N = (gains_N - lost_N / unit).clamp(min=0)
        gains_N[batch] = -torch.inf
        covered_T = torch.maximum(covered_T, near_T)
    return torch.tensor(batch, dtype=torch.int64)


def _gains(
    points_N_F: Tensor, targets_T_F: Tensor, weights_T: Tensor, from_T: Tensor, to_T: Tensor
) -> Tensor:
    """What each point `[N]`, float64, would add to targets covered by `from_T`, up to `to_T`."""
    gains_N = torch.zeros(len(points_N_F), dtype=torch.float64)
    if len(targets_T_F):
        for rows, squared_n_T in in_slices(points_N_F, targets_T_F):
            kernel_n_T = squared_n_T.neg_().exp_()
            kernel_n_T = torch.minimum(kernel_n_T, to_T).sub_(from_T).clamp_(min=0)
            gains_N[rows] = kernel_n_T.mul_(weights_T).sum(dim=1, dtype=torch.float64)
    return gains_N


def _smallest_distance(candidates: Candidates) -> float:
    """That of two labelled castings that do not coincide; 1 where there are none."""
    known_P_F = normalize(candidates.known_embeddings())
    labelled = len(known_P_F) - (0 if candidates.picked is None else len(candidates.picked))
    distances = torch.nn.functional.pdist(known_P_F[:labelled])
    apart = distances[distances > _COINCIDE]
    return float(apart.min()) if len(apart) else 1.0
