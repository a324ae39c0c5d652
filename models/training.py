"""One training from labelled pixels: the recipe, the augmentation, the loop.

The number of steps, not of epochs, follows from the number of labels, so that small rounds do
not underfit; there is no early stopping, since a validation set would have to be paid for. The
same pixels, seed and number of threads give the same bits.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import DataError
from models.images import Preprocessing, normalise
from models.mc_dropout import draw_masks
from models.network import Network, NetworkSpec, best_device, build

_REFRESH_MINIBATCH = 64
_RIGHT_ANGLE = torch.pi / 2

OnStep = Callable[[int, int, float], object]


@dataclass(frozen=True)
class Recipe:
    """How a round is trained.

    Attributes:
        steps: SGD steps; 0 lets `steps_for` choose from the number of labels.
        minibatch: castings a step.
        learning_rate: peak of the one-cycle schedule (AdamW).
        weight_decay: of AdamW, on matrices and filters only.
        warm_up: share of the steps until the peak.
        defect_weight: loss weight of defects beside good castings. A defect unlike those labelled
            shows little that speaks for it, so a network leans to good; this leans against it.
        upright: share of castings that are turned by right angles only, which leaves every pixel
            as sharp as it will be when castings are scored; the others are turned freely.
        zoom: those turned freely are scaled by up to this factor either way.
        light: brightness and contrast change by up to this share.
    """

    steps: int = 0
    minibatch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: float = 0.25
    defect_weight: float = 3.0
    upright: float = 0.8
    zoom: float = 0.05
    light: float = 0.1


def steps_for(labels: int) -> int:
    """Steps that the recipe gives a round of `labels` castings."""
    return 40 + 2 * labels // 3


def fit(  # noqa: PLR0913 -- a training has this many inputs
    pixels_N: Tensor,
    targets_N: Tensor,
    spec: NetworkSpec,
    preprocessing: Preprocessing,
    *,
    recipe: Recipe,
    weights: str,
    seed: int,
    good: int | None = None,
    on_step: OnStep | None = None,
) -> tuple[Network, float]:
    """Train a fresh network and return it in eval mode, with the mean loss of the last tenth.

    Args:
        pixels_N: uint8 `[N, channels, size, size]`.
        targets_N: class indices, int64 `[N]`.
        spec: the network to build.
        preprocessing: how pixels become its input.
        recipe: how it is trained.
        weights: its starting weights (`models.network.build`).
        seed: every draw follows from it.
        good: index of the class that means "no defect", None where there is none.
        on_step: told (step, steps, loss) after each step.

    Raises:
        DataError: there are no labels, or the starting weights cannot be had.
    """
    if len(targets_N) == 0:
        raise DataError("0 castings to train on; at least 1 label is needed")
    generator = torch.Generator().manual_seed(seed)
    device = best_device()
    network = build(spec, weights, generator).to(device).train()
    recipe = replace(recipe, steps=recipe.steps or steps_for(len(targets_N)))
    optimiser, schedule = _optimiser(network, recipe)
    class_weights = loss_weights(targets_N, spec.classes, good, recipe.defect_weight).to(device)
    losses: list[float] = []
    for step, rows in enumerate(_minibatches(len(targets_N), recipe, generator), start=1):
        upright = normalise(pixels_N[rows], preprocessing).to(device)
        images = augment(upright, recipe, generator)
        features_BF = network.features(images)
        mask_BF = draw_masks(len(rows), features_BF.shape[1], spec.dropout, generator).to(device)
        logits_BC = network.head(features_BF * mask_BF)
        loss = functional.cross_entropy(logits_BC, targets_N[rows].to(device), class_weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if on_step is not None:
            on_step(step, recipe.steps, losses[-1])
    refresh_batch_norm(network, pixels_N, preprocessing)
    tail = losses[-max(1, len(losses) // 10) :]
    return network.eval(), sum(tail) / len(tail)


def refresh_batch_norm(network: Network, pixels_N: Tensor, preprocessing: Preprocessing) -> None:
    """Take the batch-norm statistics anew, on castings as they will be scored.

    Turning resamples and softens; statistics of turned castings do not fit upright ones (Wu &
    Johnson 2021, section 3). A lone casting keeps what training left.
    """
    if len(pixels_N) == 1:
        return
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the minibatches
    parts = max(1, len(pixels_N) // _REFRESH_MINIBATCH)
    with torch.no_grad():
        for pixels in pixels_N.tensor_split(parts):
            network.features(normalise(pixels, preprocessing).to(network.head.weight.device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def loss_weights(
    targets_N: Tensor, classes: int, good: int | None, defect_weight: float
) -> Tensor:
    """Loss weight `[C]`, square root of N / (classes present · n_c); 0 for a class that is absent.

    The root lets rare defects count (Mahajan et al. 2018) and moves probabilities less than the
    full ratio would. Beside a good class the others count `defect_weight` times.
    """
    counts_C = torch.bincount(targets_N, minlength=classes).float()
    present = int((counts_C > 0).sum())
    ratio_C = len(targets_N) / (present * counts_C.clamp(min=1))
    weights_C = torch.where(counts_C > 0, ratio_C.sqrt(), 0.0)
    if good is not None:
        weights_C[torch.arange(classes) != good] *= defect_weight
    return weights_C


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Turn castings, mirror half of them, zoom a little, change brightness and contrast.

    Castings have no upright position, so any rotation is a photograph that could have been taken.
    """
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle, scale = uniform(0, 2 * torch.pi), 1 + uniform(-recipe.zoom, recipe.zoom)
    upright = uniform(0, 1) < recipe.upright
    angle = torch.where(upright, (angle / _RIGHT_ANGLE).floor() * _RIGHT_ANGLE, angle)
    scale = torch.where(upright, 1.0, scale)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)  # noqa: PLR2004 -- a half
    cosine, sine, zero = angle.cos() * scale, angle.sin() * scale, torch.zeros(count)
    matrix = torch.stack([cosine * mirror, -sine, zero, sine * mirror, cosine, zero], dim=1)
    matrix = matrix.reshape(-1, 2, 3).to(images.device)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    turned = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    contrast = (1 + uniform(-recipe.light, recipe.light)).reshape(-1, 1, 1, 1)
    brightness = uniform(-recipe.light, recipe.light).reshape(-1, 1, 1, 1)
    return turned * contrast.to(images.device) + brightness.to(images.device)


def _minibatches(count: int, recipe: Recipe, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of `recipe.steps` minibatches; each casting once before any twice."""
    size = min(recipe.minibatch, max(2, count))  # batch norm needs two
    queue = torch.empty(0, dtype=torch.int64)
    for _ in range(recipe.steps):
        while len(queue) < size:
            queue = torch.cat([queue, torch.randperm(count, generator=generator)])
        yield queue[:size]
        queue = queue[size:]


def _optimiser(
    network: nn.Module, recipe: Recipe
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": recipe.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: one_cycle(step, recipe))
    return optimiser, schedule


def one_cycle(step: int, recipe: Recipe) -> float:
    """Share of the peak learning rate at a step: up in a line, down in half a cosine."""
    peak = max(1, round(recipe.warm_up * recipe.steps))
    if step < peak:
        return (step + 1) / (peak + 1)
    return (1 + math.cos(math.pi * (step - peak) / max(1, recipe.steps - peak))) / 2
