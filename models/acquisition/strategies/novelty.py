"""Novelty: what a casting has that the others do not, whatever anybody has labelled.

Photographs of one product resemble one another, so that a few principal components of a pool draw
most of every casting in it. What they do not draw is the casting's own: a defect, or dirt. This
finds the first defects where they are rare, and no model knows yet what one looks like.
"""

import torch
from torch import Tensor

from models.acquisition.candidates import Candidates
from models.acquisition.selection import spaced, top_scoring
from models.acquisition.strategy import needing

_COMPONENTS, _A_COMPONENT = 100, 5  # at most so many, and castings for each
_SAMPLE = 5_000  # castings whose components are found; evenly spaced ones of more
_CHUNK = 4096
_TINY = 1e-9


@needing("images", ranks=True, cold=True)
def novelty(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """Pixel farthest from what the pool's principal components draw (Jackson & Mudholkar 1979)."""
    images_N, _labelled = candidates.pixels()
    return top_scoring(largest_residual(images_N), size)


def largest_residual(images_N: Tensor) -> Tensor:
    """Largest difference `[N]` of a casting's grey values, 0..1 of uint8, to its reconstruction.

    The largest, not the sum: a defect is small, and an odd exposure changes all pixels a little.
    A large defect makes a component of its own, which would draw it; so residuals are divided by
    1 − leverage, as if each casting had had no part in the components (PRESS, Allen 1974).
    """
    count = len(images_N)
    sample = spaced(count, _SAMPLE)
    sample_n_P = _grey(images_N[sample])
    mean_P = sample_n_P.mean(dim=0)
    sample_n_P -= mean_P
    squares_P, vectors_P_P = torch.linalg.eigh(sample_n_P.T @ sample_n_P)  # the largest come last
    components = min(_COMPONENTS, len(sample) // _A_COMPONENT)
    basis_P_k = vectors_P_P[:, len(mean_P) - components :]
    size_k = squares_P[len(mean_P) - components :].clamp(min=_TINY)
    leverage_N = torch.zeros(count, dtype=torch.float64)
    leverage_N[sample] = ((sample_n_P @ basis_P_k).square() / size_k).sum(dim=1)
    residual_N = torch.empty(count, dtype=torch.float64)
    for start in range(0, count, _CHUNK):
        casting_n_P = _grey(images_N[start : start + _CHUNK]) - mean_P
        casting_n_P -= casting_n_P @ basis_P_k @ basis_P_k.T
        residual_N[start : start + _CHUNK] = casting_n_P.abs().amax(dim=1)
    return residual_N / (1 - leverage_N).clamp(min=_TINY)


def _grey(images_N: Tensor) -> Tensor:
    return images_N.double().mean(dim=1).flatten(1) / 255
