"""Where the line is drawn between good and defect."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class OperatingPoint:
    """A casting is rejected when P(defect), at the temperature, is at least the threshold."""

    good: str | None = None  # the class that means "no defect"
    threshold: float = 0.5
    temperature: float = 1.0  # logits are divided by it


def verdicts(probs_N_C: Tensor, good: int | None, threshold: float) -> Tensor:
    """Class index `[N]` of each verdict.

    From P(defect) = `threshold` on it is the likeliest defect, below that the good class; without
    a good class it is the likeliest class.
    """
    if good is None:
        return probs_N_C.argmax(dim=1)
    is_good_C = torch.arange(probs_N_C.shape[1]) == good
    defect_N = probs_N_C.masked_fill(is_good_C, -1.0).argmax(dim=1)
    return torch.where(1 - probs_N_C[:, good] >= threshold, defect_N, good)
