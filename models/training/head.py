"""A linear head fitted to its optimum on features that stay as they are.

L2 logistic regression (scikit-learn, L-BFGS) in float64 on one thread: the same features and
labels give the same bits. There are more features than labels, so it is fitted in the space that
the labelled castings span, where the optimum lies.
"""

import math

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor

# On weights, per casting's loss, for features of length 1. On synthetic castings and CIFAR-10,
# on which no bar is, 0.003 to 0.1 do alike (`python -m benchmarks.learner --penalty`).
PENALTY = 0.03
_ITERATIONS = 1000
_TOLERANCE = 1e-8
_RANK, _LEAST = 1e-9, 1e-12  # directions of less, beside the longest and in all, are noise


def fit_head(
    features_M_F: Tensor,
    targets_M: Tensor,
    classes: int,
    good: int | None = None,
    *,
    penalty: float = PENALTY,
) -> tuple[Tensor, Tensor]:
    """Weight `[C, F]` and bias `[C]`, float32, of the head for labelled castings.

    Half of the loss is the good class's, the rest is shared by the defects alike; without a good
    class, or a defect, all classes share it. A class that no label names gets the mean weights and
    the odds of a class that was missed so often. Features have a mean square of 1.
    """
    length = math.sqrt(features_M_F.shape[1])
    counts_C = torch.bincount(targets_M, minlength=classes).double()
    present = torch.nonzero(counts_C).flatten()
    weight_C_F = torch.zeros(classes, features_M_F.shape[1], dtype=torch.float64)
    bias_C = -torch.log1p(counts_C.sum()) * torch.ones(classes, dtype=torch.float64)
    bias_C[present] = 0.0
    if len(present) > 1:
        weight_P_F, bias_P = _optimum(
            features_M_F.double() / length, targets_M, _shares(counts_C, good), penalty
        )
        weight_C_F[present] = weight_P_F / length
        bias_C += bias_P.mean()
        bias_C[present] = bias_P
    return weight_C_F.float(), bias_C.float()


def _shares(counts_C: Tensor, good: int | None) -> Tensor:
    """Weight of each class's castings in the loss `[C]`: their mean over castings is 1."""
    share_C = (counts_C > 0).double()
    if good is not None and counts_C[good]:
        share_C[good] = share_C.sum() - 1
    return share_C / share_C.sum() * counts_C.sum() / counts_C.clamp(min=1)


def _optimum(
    features_M_F: Tensor, targets_M: Tensor, shares_C: Tensor, penalty: float
) -> tuple[Tensor, Tensor]:
    """Weights `[P, F]` and biases `[P]` of the classes present, each summing to 0 over classes."""
    with threadpool_limits(limits=1):
        left, singular, basis_R_F = np.linalg.svd(features_M_F.numpy(), full_matrices=False)
        kept = singular >= max(singular[0] * _RANK, _LEAST)
        kept[0] = True  # features of nothing are fitted too: by the biases
        coordinates_M_R = left[:, kept] * singular[kept]
        model = LogisticRegression(C=1 / penalty, max_iter=_ITERATIONS, tol=_TOLERANCE)
        model.fit(coordinates_M_R, targets_M.numpy(), shares_C[targets_M].numpy())
        weight_P_F = model.coef_ @ basis_R_F[kept]
    weight, bias = torch.from_numpy(weight_P_F), torch.from_numpy(model.intercept_)
    if len(weight) == 1:  # scikit-learn keeps one row for two classes
        return torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    return weight - weight.mean(dim=0), bias - bias.mean()
