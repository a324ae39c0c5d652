"""BALD: the castings on which the passes disagree."""

import torch
from torch import Tensor

from models import uncertainty
from models.acquisition.candidates import Candidates
from models.acquisition.selection import gumbel, top_scoring
from models.acquisition.strategy import needing


@needing("probs_N_K_C", ranks=True)
def bald(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """Passes most at odds: mutual information highest (Houlsby 2011; Gal 2017)."""
    return top_scoring(uncertainty.bald(candidates.posterior()), size)


@needing("probs_N_K_C", ranks=True)
def power_bald(candidates: Candidates, size: int, generator: torch.Generator) -> Tensor:
    """Log BALD plus Gumbel(0, 1) noise: a batch that is not all of one kind (Kirsch 2023).

    BALD below the resolution at which scores are compared counts as that resolution.
    """
    informative_N = uncertainty.bald(candidates.posterior()).double().clamp(min=1e-6)
    return top_scoring(informative_N.log() + gumbel(len(candidates), generator), size)
