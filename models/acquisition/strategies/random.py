"""Chance: what every other strategy has to beat."""

import torch
from torch import Tensor

from models.acquisition.candidates import Candidates
from models.acquisition.strategy import needing


@needing(ranks=True)
def random(candidates: Candidates, size: int, generator: torch.Generator) -> Tensor:
    """Uniform: what every other strategy has to beat."""
    return torch.randperm(len(candidates), generator=generator)[:size]
