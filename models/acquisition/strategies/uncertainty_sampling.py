"""The castings that the model is least sure of."""

import torch
from torch import Tensor

from models import uncertainty
from models.acquisition.candidates import Candidates
from models.acquisition.selection import top_scoring
from models.acquisition.strategy import needing


@needing("deterministic_N_C", ranks=True)
def least_confidence(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """Largest probability smallest (Lewis & Gale 1994)."""
    return top_scoring(uncertainty.least_confidence(candidates.deterministic()), size)


@needing("deterministic_N_C", ranks=True)
def margin(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """Two best classes closest (Scheffer 2001)."""
    return top_scoring(-uncertainty.margin(candidates.deterministic()), size)


@needing("deterministic_N_C", ranks=True)
def entropy(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """Entropy of the pass without dropout highest."""
    return top_scoring(uncertainty.entropy(candidates.deterministic()), size)


@needing("probs_N_K_C", ranks=True)
def dbal(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """Predictive entropy under MC dropout highest (Gal, Islam & Ghahramani 2017)."""
    return top_scoring(uncertainty.predictive_entropy(candidates.posterior()), size)


@needing("probs_N_K_C", ranks=True)
def variation_ratio(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """Fewest passes agree with the modal class (Gal 2017)."""
    return top_scoring(uncertainty.variation_ratio(candidates.posterior()), size)


@needing("probs_N_K_C", ranks=True, members=True)
def ensemble(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """Separately trained members most at odds; among equals the highest entropy (Beluch 2018)."""
    posterior_N_K_C = candidates.posterior()
    by_entropy = top_scoring(uncertainty.predictive_entropy(posterior_N_K_C), len(candidates))
    ratio_N = uncertainty.variation_ratio(posterior_N_K_C)
    return by_entropy[top_scoring(ratio_N[by_entropy], size)]
