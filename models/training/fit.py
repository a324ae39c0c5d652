"""All weights of a network trained from labelled pixels: the recipe, the augmentation, the loop.

The head has been fitted to what the start sees before any other weight moves, or its first
gradients would spoil that (Kumar et al. 2022). The number of steps, not of epochs, follows from
the number of labels, so that small rounds do not underfit, and castings that are hard to tell
apart are stepped on for longer. What decides is the loss on the labels themselves: there is no
early stopping on a validation set, which would have to be paid for. The same pixels, seed and
number of threads give the same bits.
"""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from models.errors import DataError
from models.images import Preprocessing, normalise
from models.network.device import best_device
from models.network.mc_dropout import draw_masks
from models.network.network import Network
from models.training.augmentation import augment
from models.training.optimiser import Muon
from models.training.recipe import Recipe
from models.training.schedule import Pace

_REFRESH_MINIBATCH = 64

OnStep = Callable[[int, int, float], object]


def fit(  # noqa: PLR0913 -- a training has this many inputs
    pixels_N: Tensor,
    targets_N: Tensor,
    begun: Network,
    preprocessing: Preprocessing,
    *,
    recipe: Recipe,
    seed: int,
    on_step: OnStep | None = None,
) -> tuple[Network, float]:
    """Train all weights and return the network in eval mode, with the mean loss of the last tenth.

    Pixels are uint8 `[N, channels, size, size]`, targets class indices; `begun` has one member and
    stays as it is. `on_step` is told (position, steps, loss) after each step; one that holds the
    peak leaves the position where it is.

    Raises:
        DataError: there are no labels.
    """
    if len(targets_N) == 0:
        raise DataError("0 castings to train on; at least 1 label is needed")
    generator = torch.Generator().manual_seed(seed)
    device = best_device()
    network = copy.deepcopy(begun).to(device).to(memory_format=torch.channels_last).train()
    weights_C = loss_weights(targets_N, network.spec.classes).to(device)
    pace = Pace.of(recipe, targets_N, weights_C)
    optimiser = Muon(network, recipe.weight_decay)
    for rows in _minibatches(len(targets_N), recipe.minibatch, generator):
        images = normalise(pixels_N[rows], preprocessing).to(device)
        features_BF = network.features(network.pooled(augment(images, recipe, generator)))
        count, width = features_BF.shape
        mask_BF = draw_masks(count, width, network.spec.dropout, generator)
        logits_BC = network.head(features_BF * mask_BF.to(device))
        loss = functional.cross_entropy(logits_BC, targets_N[rows].to(device), weights_C)
        optimiser.zero_grad()
        loss.backward()
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * pace.share_of_peak
        optimiser.step()
        pace.step(loss.item())
        if on_step is not None:
            on_step(pace.position, pace.steps, pace.losses[-1])
        if pace.position == pace.steps:
            break
    refresh_batch_norm(network, pixels_N, preprocessing)
    unweight(network, weights_C)
    network.eval()
    tail = pace.losses[-max(1, len(pace.losses) // 10) :]
    return network, sum(tail) / len(tail)


def refresh_batch_norm(network: Network, pixels_N: Tensor, preprocessing: Preprocessing) -> None:
    """Take the batch-norm statistics anew, on castings as they will be scored.

    Turning resamples and softens; statistics of turned castings do not fit upright ones (Wu &
    Johnson 2021, section 3). A lone casting keeps what training left.
    """
    if len(pixels_N) == 1:
        return
    parts = pixels_N.tensor_split(max(1, len(pixels_N) // _REFRESH_MINIBATCH))
    images = (normalise(pixels, preprocessing) for pixels in parts)
    update_bn(images, network, device=network.device)


def unweight(network: Network, weights_C: Tensor) -> None:
    """Take the loss weights out of the probabilities again (Menon et al. 2021, section 4).

    A network trained with weight w on a class gives it w times its odds; the head's bias gives
    that back, so that a verdict rests on what the castings show and how common the classes are.
    """
    present_C = weights_C > 0
    shift_C = torch.where(present_C, weights_C.clamp(min=1e-12).log(), 0.0)
    with torch.no_grad():
        network.head.bias.sub_(shift_C.to(network.head.bias.device))


def loss_weights(targets_N: Tensor, classes: int) -> Tensor:
    """Loss weight `[C]`, square root of N / (classes present · n_c); 0 for a class that is absent.

    The root lets rare defects be learned (Mahajan et al. 2018) with less noise in the steps than
    the full ratio would bring. `unweight` takes it out of the probabilities again.
    """
    counts_C = torch.bincount(targets_N, minlength=classes).float()
    present = int((counts_C > 0).sum())
    ratio_C = len(targets_N) / (present * counts_C.clamp(min=1))
    return torch.where(counts_C > 0, ratio_C.sqrt(), 0.0)


def _minibatches(count: int, minibatch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of minibatches without end; each casting once before any twice."""
    size = min(minibatch, max(2, count))  # batch norm needs two
    queue = torch.empty(0, dtype=torch.int64)
    while True:
        while len(queue) < size:
            queue = torch.cat([queue, torch.randperm(count, generator=generator)])
        yield queue[:size]
        queue = queue[size:]
