"""EPIG: the castings whose labels tell most about the labels of the pool."""

import torch
from torch import Tensor

from models import uncertainty
from models.acquisition.candidates import Candidates
from models.acquisition.selection import spaced, top_scoring
from models.acquisition.strategy import needing

_TARGET_LABELS = 2000  # of epig: targets times classes


@needing("probs_N_K_C", ranks=True)
def epig(candidates: Candidates, size: int, _: torch.Generator) -> Tensor:
    """Label that tells most about the labels of the whole pool (Bickford Smith 2023).

    The target castings are the pool; of more than 2,000 / C castings evenly spaced ones, which in
    order of casting id are a sample without preference.
    """
    posterior_N_K_C = candidates.posterior()
    targets = spaced(len(candidates), _TARGET_LABELS // posterior_N_K_C.shape[2])
    told_N = uncertainty.expected_predictive_information(posterior_N_K_C, posterior_N_K_C[targets])
    return top_scoring(told_N, size)
