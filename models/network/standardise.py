"""Pooled stages to features: the unlabelled pool says what is usual, and what is nuisance.

Each feature is standardised by mean and deviation over the pool, and all together have a mean
square of 1. Castings of one part differ in light, place and turn only; directions in which they
differ among themselves say nothing about it and are shrunk (within-class covariance normalisation:
Hatch, Kajarekar & Stolcke 2006, with parts in the place of classes). No label is looked at.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.linalg import eigh
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn.functional import pad

DIRECTIONS = 256  # at most, that are shrunk
_STRENGTH = 1000.0  # the direction of the largest variance within parts is over sqrt(1 + this)
_LEAST = 1e-6
_NOTHING = 1e-9  # of the largest variance; directions of less are noise of the arithmetic
_ROWS = 16  # what kernels of a double matrix product compute at a time


class Standardisation(nn.Module):
    """Buffers `centre_F`, `scale_F`, `nuisance_R_F` (orthonormal rows) and `shrunk_R` in 0..1."""

    centre_F: Tensor
    scale_F: Tensor
    nuisance_R_F: Tensor
    shrunk_R: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("centre_F", torch.zeros(features))
        self.register_buffer("scale_F", torch.ones(features))
        self.register_buffer("nuisance_R_F", torch.zeros(DIRECTIONS, features))
        self.register_buffer("shrunk_R", torch.zeros(DIRECTIONS))

    @classmethod
    def of(cls, pooled_N_F: Tensor, parts_N: Sequence[str]) -> "Standardisation":
        """By the statistics of a pool; without two castings of any part nothing is shrunk."""
        made = cls(pooled_N_F.shape[1])
        pooled = pooled_N_F.double()
        deviation_F = pooled.std(dim=0, correction=0)
        usual_F = deviation_F > _LEAST * (1 + pooled.abs().mean(dim=0))
        made.centre_F.copy_(pooled.mean(dim=0))
        made.scale_F.copy_(torch.where(usual_F, 1 / deviation_F.clamp(min=_LEAST), 0.0))
        standard_N_F = (pooled - made.centre_F.double()) * made.scale_F.double()
        within_N_F = standard_N_F - _part_means(standard_N_F, parts_N)
        if float(within_N_F.square().sum()) > _LEAST * len(pooled):
            variance_R, direction_R_F = _largest_directions(within_N_F)
            kept_R = (1 + _STRENGTH * variance_R / variance_R[0]).rsqrt()
            made.shrunk_R[: len(kept_R)] = 1 - kept_R
            made.nuisance_R_F[: len(kept_R)] = direction_R_F
        made.scale_F /= made(pooled_N_F).square().mean().sqrt().clamp(min=_LEAST)
        return made

    def forward(self, pooled_N_F: Tensor) -> Tensor:
        """Features `[N, F]`, float32: the same for a casting in whatever company."""
        standard_N_F = (pooled_N_F.double() - self.centre_F.double()) * self.scale_F.double()
        count = len(standard_N_F)
        padded_N_F = pad(standard_N_F, (0, 0, 0, -count % _ROWS))
        along_N_R = padded_N_F @ self.nuisance_R_F.double().T * self.shrunk_R.double()
        return (padded_N_F - along_N_R @ self.nuisance_R_F.double())[:count].float()

    def on_pooled(self, weight_C_F: Tensor) -> Tensor:
        """What a head's weights on features are on pooled stages, `[C, F]`."""
        along_C_R = weight_C_F @ self.nuisance_R_F.T * self.shrunk_R
        return (weight_C_F - along_C_R @ self.nuisance_R_F) * self.scale_F


def _largest_directions(values_N_F: Tensor) -> tuple[Tensor, Tensor]:
    """Squared lengths along at most `DIRECTIONS` orthonormal directions, the largest first.

    Of fewer castings than features the directions are sought among those that castings span.
    """
    values = values_N_F.numpy()
    spanned = len(values) < values.shape[1]
    with threadpool_limits(limits=1):  # another number of threads gives other last bits
        products = values @ values.T if spanned else values.T @ values
        largest = [max(0, len(products) - DIRECTIONS), len(products) - 1]
        variance_R, vectors = eigh(products, subset_by_index=largest)
        kept = variance_R > variance_R[-1] * _NOTHING
        variance_R, direction_F_R = variance_R[kept], vectors[:, kept]
        if spanned:
            direction_F_R = values.T @ direction_F_R / np.sqrt(variance_R)
    flipped = direction_F_R[:, ::-1].T.copy()
    return torch.from_numpy(variance_R[::-1].copy()), torch.from_numpy(flipped)


def _part_means(values_N_F: Tensor, parts_N: Sequence[str]) -> Tensor:
    """The mean over the castings of its part, for each casting."""
    codes = {part: code for code, part in enumerate(dict.fromkeys(parts_N))}
    code_N = torch.tensor([codes[part] for part in parts_N])
    sums = torch.zeros(len(codes), values_N_F.shape[1], dtype=values_N_F.dtype)
    sums.index_add_(0, code_N, values_N_F)
    return (sums / torch.bincount(code_N).unsqueeze(1))[code_N]
