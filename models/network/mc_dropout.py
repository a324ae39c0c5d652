"""MC dropout at the price of one forward pass.

Dropout sits before the last layer only, so K full passes differ only in which features they
drop. The features are computed once; pass k then is `(features * mask_k) @ weight.T`, which equals
`features @ (weight * mask_k).T`: all passes are one matrix product. This is the distribution of
K full passes exactly, not an approximation of it (Gal & Ghahramani 2016, section 3).

Arithmetic is in float64, so that the numbers of a casting do not depend on which castings share
its minibatch; what is returned is float64 too.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

_CHUNK = 1024  # castings whose features are double at a time, so that they stay in the cache
_ROWS, _COLUMNS = 16, 48  # what kernels of a double matrix product compute at a time


def draw_masks(rows: int, features: int, dropout: float, generator: torch.Generator) -> Tensor:
    """Draw dropout masks `[rows, F]`: 0 where dropped, else 1 / (1 − dropout)."""
    kept = torch.rand(rows, features, generator=generator) >= dropout
    return kept.float() / (1 - dropout)


@lru_cache(maxsize=8)
def pass_masks(passes: int, features: int, dropout: float, seed: int) -> Tensor:
    """The K masks `[K, F]` of a request: they belong to the passes, not to the castings.

    Requests of the same passes and seed share one tensor; nobody writes into it.
    """
    return draw_masks(passes, features, dropout, torch.Generator().manual_seed(seed))


def posterior(
    features_N_F: Tensor, weight_K_C_F: Tensor, bias_K_C: Tensor, temperature: float = 1.0
) -> Tensor:
    """Class probabilities of every pass, `probs_N_K_C`, given the head of each.

    A matrix product adds up in another order where its kernels are not filled. Castings and passes
    are padded to whole ones, or the last bits of a casting would depend on how many were with it,
    and on the number of threads.
    """
    return posterior_of(features_N_F, packed(weight_K_C_F), bias_K_C, temperature)


def packed(weight_K_C_F: Tensor) -> Tensor:
    """The heads of all passes as one matrix, float64 `[K·(C − 1), F]`, padded to whole kernels.

    Of each class but the last, less the last's: its logit is 0, and for two classes half is saved.
    """
    weight_K_C_F = weight_K_C_F.double()
    relative_KC_F = (weight_K_C_F[:, :-1] - weight_K_C_F[:, -1:]).flatten(0, 1)
    return pad(relative_KC_F, (0, 0, 0, -len(relative_KC_F) % _COLUMNS))


def posterior_of(
    features_N_F: Tensor, packed_KC_F: Tensor, bias_K_C: Tensor, temperature: float
) -> Tensor:
    """`posterior`, where the heads are `packed` already."""
    count, (passes, classes) = len(features_N_F), bias_K_C.shape
    padded_N_F = pad(features_N_F, (0, 0, 0, -count % _ROWS))
    products = [chunk.double() @ packed_KC_F.T for chunk in padded_N_F.split(_CHUNK)]
    empty = packed_KC_F.new_empty(0, len(packed_KC_F))
    logits_N_KC = torch.cat([empty, *products])[:count, : passes * (classes - 1)]
    bias_K_C = bias_K_C.double()
    logits_N_K_C = logits_N_KC.unflatten(1, (passes, classes - 1))
    logits_N_K_C = pad(logits_N_K_C + bias_K_C[:, :-1] - bias_K_C[:, -1:], (0, 1))
    probs_N_K_C: Tensor = (logits_N_K_C / temperature).softmax(dim=-1)
    return probs_N_K_C
