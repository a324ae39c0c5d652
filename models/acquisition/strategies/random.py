"""Chance: what every other strategy has to beat."""

import torch
from torch import Tensor

from models.acquisition.candidates import Candidates
from models.acquisition.selection import uniform_order
from models.acquisition.strategy import needing


@needing(ranks=True)
def random(candidates: Candidates, size: int, generator: torch.Generator) -> Tensor:
    """Uniform: what every other strategy has to beat."""
    return uniform_order(len(candidates), size, generator)
