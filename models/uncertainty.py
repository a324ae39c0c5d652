"""Uncertainty scores: arithmetic on class probabilities, in nats.

`probs_N_C` is the deterministic pass, `probs_N_K_C` the posterior: K dropout passes, or K members
of an ensemble; a score does not know which. Higher means "label this first". 0 · log 0 is 0. An
empty pool gives an empty score. Nothing is written into an argument.
"""

import torch
from torch import Tensor

_JOINT_ELEMENTS = 2**22  # joint probabilities at a time


def entropy(probs: Tensor) -> Tensor:
    """Shannon entropy over the last axis, in 0..log C."""
    summed: Tensor = torch.special.xlogy(probs, probs).sum(dim=-1)
    return 0 - summed  # not -summed: a certain casting would have minus zero


def least_confidence(probs_N_C: Tensor) -> Tensor:
    """One minus the largest probability `[N]`, in 0..1 − 1/C (Lewis & Gale 1994)."""
    return 1 - probs_N_C.amax(dim=-1)


def margin(probs_N_C: Tensor) -> Tensor:
    """Largest minus second probability `[N]`, in 0..1; small is uncertain (Scheffer 2001)."""
    top_N_2 = probs_N_C.topk(2, dim=-1).values
    return top_N_2[..., 0] - top_N_2[..., 1]


def predictive_entropy(probs_N_K_C: Tensor) -> Tensor:
    """Entropy of the mean over passes `[N]` (Gal, Islam & Ghahramani 2017, section 4)."""
    return entropy(probs_N_K_C.mean(dim=1))


def expected_entropy(probs_N_K_C: Tensor) -> Tensor:
    """Mean over passes of each pass's entropy `[N]`: what more labels cannot remove."""
    return entropy(probs_N_K_C).mean(dim=1)


def bald(probs_N_K_C: Tensor) -> Tensor:
    """Mutual information of label and weights `[N]`, in 0..log C (Houlsby 2011; Gal 2017).

    >>> agree = torch.tensor([[[0.7, 0.3], [0.7, 0.3]]], dtype=torch.float64)
    >>> differ = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    >>> bald(agree).item(), round(bald(differ).item(), 4)
    (0.0, 0.6931)
    """
    return (predictive_entropy(probs_N_K_C) - expected_entropy(probs_N_K_C)).clamp(min=0)


def bald_standard_error(probs_N_K_C: Tensor) -> Tensor:
    """Jackknife standard error of `bald` over the passes `[N]`; NaN for a single pass.

    Efron & Stein 1981: pass k is left out in turn, without computing anything anew.
    """
    passes = probs_N_K_C.shape[1]
    if passes == 1:
        return torch.full(probs_N_K_C.shape[:1], torch.nan, dtype=probs_N_K_C.dtype)
    others_N_K_C = (probs_N_K_C.sum(dim=1, keepdim=True) - probs_N_K_C) / (passes - 1)
    entropies_N_K = entropy(probs_N_K_C)
    expected_N_K = (entropies_N_K.sum(dim=1, keepdim=True) - entropies_N_K) / (passes - 1)
    left_out_N_K = entropy(others_N_K_C.clamp(min=0)) - expected_N_K
    from_mean_N_K = left_out_N_K - left_out_N_K.mean(dim=1, keepdim=True)
    return (from_mean_N_K.square().mean(dim=1) * (passes - 1)).sqrt()


def variation_ratio(probs_N_K_C: Tensor) -> Tensor:
    """Share of passes that do not vote for the modal class `[N]`, in 0..1 − 1/C (Gal 2017)."""
    votes_N_K = probs_N_K_C.argmax(dim=-1)
    counts_N_C = torch.nn.functional.one_hot(votes_N_K, probs_N_K_C.shape[-1]).sum(dim=1)
    return 1 - counts_N_C.amax(dim=-1).double() / probs_N_K_C.shape[1]


def expected_predictive_information(probs_N_K_C: Tensor, targets_T_K_C: Tensor) -> Tensor:
    """What a casting's label tells about the labels of target castings `[N]`, in 0..log C.

    EPIG (Bickford Smith et al. 2023, section 4): mutual information of the two labels, mean over
    the targets. Passes must be those of one set of weights each, in both tensors. Castings are
    taken a few at a time, so that memory beside the input stays under 200 MB.
    """
    count, passes, classes = probs_N_K_C.shape
    flat_K_TC = targets_T_K_C.transpose(0, 1).flatten(1) / passes
    per_label = classes * flat_K_TC.shape[1]
    label_N = entropy(probs_N_K_C.mean(dim=1))
    target = entropy(targets_T_K_C.mean(dim=1)).mean()
    joint_N = torch.empty_like(label_N)
    step = max(1, _JOINT_ELEMENTS // max(1, per_label))
    for start in range(0, count, step):
        slice_n_C_K = probs_N_K_C[start : start + step].transpose(1, 2)
        joint_n_C_TC = slice_n_C_K @ flat_K_TC
        joint_N[start : start + step] = entropy(joint_n_C_TC.flatten(1)) / len(targets_T_K_C)
    return (label_N + target - joint_N).clamp(min=0)
