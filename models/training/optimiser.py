"""The optimiser of a training: Muon on filters, AdamW on what is none.

Muon (Jordan et al. 2024) makes the singular values of each step alike, so that what is rare in a
gradient is learned as fast as what is common: a few hundred castings are fitted in fewer steps
than AdamW alone would take. Filters are taken in blocks of 64, each for itself (Khaled et al.
2025), and the iteration runs on their small Gram matrices (Dao 2026), or it would cost as much as
the network itself. The size of a step is that of AdamW's (Liu et al. 2025), hence one learning
rate for both. `torch.optim.Muon` takes matrices only, and whole ones.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

BLOCK = 64  # filters; every ResNet has a multiple of it; AdamW takes what is none
MOMENTUM = 0.9
_ITERATIONS = 5
_QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan et al.: singular values end at 0.7 to 1.2
_OF_ADAM = 0.2  # root mean square of AdamW's steps, as a share of the learning rate
_FILTERS = 4  # dimensions: filters, channels, height, width


class Muon(torch.optim.Optimizer):
    """Steps the parameters of a network along their gradients; set `lr` in its `param_groups`.

    Filters alone are decayed, apart from the gradient (Loshchilov & Hutter 2019).
    """

    def __init__(self, network: nn.Module, weight_decay: float) -> None:
        filters = [p for p in network.parameters() if _in_blocks(p)]
        others = [p for p in network.parameters() if not _in_blocks(p)]
        filters = filters or [nn.Parameter(torch.zeros(BLOCK, 1, 1, 1))]  # none would be refused
        super().__init__(filters, {"lr": 0.0, "weight_decay": weight_decay})
        for parameter in filters:
            self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        self._others = torch.optim.AdamW(others, weight_decay=0.0, fused=True)
        self.param_groups += self._others.param_groups  # the same dictionaries

    @torch.no_grad()
    def step(self, _closure: None = None) -> None:  # type: ignore[override]
        """Make a step."""
        self._others.step()
        group = self.param_groups[0]
        kept, rate = 1 - group["lr"] * group["weight_decay"], group["lr"]
        ahead = [blocks(_ahead(p, self.state[p]["momentum"])) for p in group["params"]]
        roots = orthogonalise(ahead)
        for filters, direction, root in zip(group["params"], ahead, roots, strict=True):
            scale = _OF_ADAM * math.sqrt(max(BLOCK, filters[0].numel()))
            blocks(filters).baddbmm_(root, direction, beta=kept, alpha=-rate * scale)


def _in_blocks(parameter: Tensor) -> bool:
    """Whether these are filters in whole blocks; those of some families are not."""
    return parameter.ndim == _FILTERS and len(parameter) % BLOCK == 0


def _ahead(filters: Tensor, momentum: Tensor) -> Tensor:
    """The gradient with momentum, a step ahead (Nesterov)."""
    if filters.grad is None:
        return momentum
    torch.add(filters.grad, momentum, alpha=MOMENTUM, out=momentum)
    return filters.grad.add(momentum, alpha=MOMENTUM)


def blocks(filters: Tensor) -> Tensor:
    """A view `[blocks, BLOCK, values of a filter]` of filters in channels-last order."""
    return filters.permute(0, 2, 3, 1).view(len(filters) // BLOCK, BLOCK, -1)


def orthogonalise(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """What to multiply each of `blocks` with, so that they have orthonormal rows.

    Nearly: Newton's and Schulz's iteration leaves singular values of 0.7 to 1.2. It is run on the
    Gram matrices of all blocks at once, since it needs no more than them.
    """
    roots = _inverse_roots(torch.cat([block @ block.mT for block in tensors]))
    split: Sequence[Tensor] = roots.split([len(block) for block in tensors])
    return split


def _inverse_roots(grams: Tensor) -> Tensor:
    """About G^(-1/2) of each symmetric `[BLOCK, BLOCK]`; where G is 0 too it is finite."""
    a, b, c = _QUINTIC
    trace = grams.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None].clamp(min=1e-14)
    one = torch.eye(BLOCK, dtype=grams.dtype, device=grams.device)
    product, left = one / trace.sqrt(), grams / trace
    for _ in range(_ITERATIONS):
        factor = torch.baddbmm(a * one + b * left, left, left, alpha=c)
        product = factor @ product
        left = factor @ left @ factor
    return product
