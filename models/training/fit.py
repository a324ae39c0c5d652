"""One training from labelled pixels: the recipe, the augmentation, the loop.

The number of steps, not of epochs, follows from the number of labels, so that small rounds do
not underfit, and castings that are hard to tell apart are stepped on for longer. What decides is
the loss on the labels themselves: there is no early stopping on a validation set, which would have
to be paid for. The same pixels, seed and number of threads give the same bits.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from models.errors import DataError
from models.images import Preprocessing, normalise
from models.network.mc_dropout import draw_masks
from models.network.network import Network, NetworkSpec, best_device, build
from models.training.optimiser import Muon

_REFRESH_MINIBATCH = 64
_CALIBRATED = 128  # castings say how large the inputs of convolutions get
_RIGHT_ANGLE = torch.pi / 2
_RECENT = 20  # steps whose mean loss says whether the labels are fitted

OnStep = Callable[[int, int, float], object]


@dataclass(frozen=True)
class Recipe:
    """How a round is trained.

    Attributes:
        steps: SGD steps; 0 lets `steps_for` choose from the number of labels, and the learning
            rate stay at its peak while the labels are not fitted.
        minibatch: castings a step.
        learning_rate: peak of the one-cycle schedule.
        fitted: the labels are fitted when the loss is this share of what the class counts alone
            would give.
        patience: the peak is held for at most this many times the steps.
        weight_decay: on filters only.
        warm_up: share of the steps until the peak.
        upright: share of castings that are turned by right angles only, which leaves every pixel
            as sharp as it will be when castings are scored; the others are turned freely.
        zoom: those turned freely are scaled by up to this factor either way.
        light: brightness and contrast change by up to this share.
    """

    steps: int = 0
    minibatch: int = 32
    learning_rate: float = 8e-3
    fitted: float = 0.5
    patience: float = 1.0
    weight_decay: float = 0.05
    warm_up: float = 0.25
    upright: float = 0.8
    zoom: float = 0.05
    light: float = 0.1


def steps_for(labels: int) -> int:
    """Steps that the recipe gives a round of `labels` castings."""
    return 30 + labels // 2


def fit(  # noqa: PLR0913 -- a training has this many inputs
    pixels_N: Tensor,
    targets_N: Tensor,
    spec: NetworkSpec,
    preprocessing: Preprocessing,
    *,
    recipe: Recipe,
    weights: str,
    seed: int,
    on_step: OnStep | None = None,
) -> tuple[Network, float]:
    """Train a fresh network and return it in eval mode, with the mean loss of the last tenth.

    Args:
        pixels_N: uint8 `[N, channels, size, size]`.
        targets_N: class indices, int64 `[N]`.
        spec: the network to build.
        preprocessing: how pixels become its input.
        recipe: how it is trained.
        weights: its starting weights (`models.network.network.build`).
        seed: every draw follows from it.
        on_step: told (position, steps, loss) after each step; a step that holds the peak leaves
            the position where it is.

    Raises:
        DataError: there are no labels, or the starting weights cannot be had.
    """
    if len(targets_N) == 0:
        raise DataError("0 castings to train on; at least 1 label is needed")
    generator = torch.Generator().manual_seed(seed)
    device = best_device()
    network = build(spec, weights, generator).to(device).train()
    weights_C = loss_weights(targets_N, spec.classes)
    pace = Pace.of(recipe, targets_N, weights_C)
    optimiser = Muon(network, recipe.weight_decay)
    class_weights = weights_C.to(device)
    for rows in _minibatches(len(targets_N), recipe.minibatch, generator):
        upright = normalise(pixels_N[rows], preprocessing).to(device)
        images = augment(upright, recipe, generator)
        features_BF = network.features(images)
        mask_BF = draw_masks(len(rows), features_BF.shape[1], spec.dropout, generator).to(device)
        logits_BC = network.head(features_BF * mask_BF)
        loss = functional.cross_entropy(logits_BC, targets_N[rows].to(device), class_weights)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step(recipe.learning_rate * pace.share_of_peak)
        pace.step(loss.item())
        if on_step is not None:
            on_step(pace.position, pace.steps, pace.losses[-1])
        if pace.position == pace.steps:
            break
    refresh_batch_norm(network, pixels_N, preprocessing)
    unweight(network, weights_C)
    network.eval()
    some = pixels_N[:: math.ceil(len(pixels_N) / _CALIBRATED)]
    network.calibrate(normalise(some, preprocessing).to(device))
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


@dataclass
class Pace:
    """Where a training is in its schedule: up in a line, held at the peak, down in half a cosine.

    Attributes:
        steps: of the schedule, those that hold its peak not counted.
        peak: position of the highest learning rate.
        fitted: the peak is held while the mean of the last `_RECENT` losses is above this.
        holds: steps that may still hold the peak.
        position: steps of the schedule that are done.
        losses: of all steps.
    """

    steps: int
    peak: int
    fitted: float
    holds: int
    position: int = 0
    losses: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, recipe: Recipe, targets_N: Tensor, weights_C: Tensor) -> "Pace":
        """The pace for these labels; a given number of steps is kept to."""
        steps = recipe.steps or steps_for(len(targets_N))
        counts_C = torch.bincount(targets_N, minlength=len(weights_C)) * weights_C
        share_C = counts_C / counts_C.sum()
        knows_counts_only = float(-torch.xlogy(share_C, share_C).sum())
        held = knows_counts_only > 0 and not recipe.steps  # with one class there is nothing to fit
        holds = round(recipe.patience * steps) if held else 0
        peak = max(1, round(recipe.warm_up * steps))
        return cls(steps, peak, recipe.fitted * knows_counts_only, holds)

    @property
    def share_of_peak(self) -> float:
        """The learning rate of the next step, beside that of the peak."""
        if self.position < self.peak:
            return (self.position + 1) / (self.peak + 1)
        down = (self.position - self.peak) / max(1, self.steps - self.peak)
        return (1 + math.cos(math.pi * down)) / 2

    def step(self, loss: float) -> None:
        """Count a step."""
        self.losses.append(loss)
        recent = self.losses[-_RECENT:]
        if self.position == self.peak and self.holds and sum(recent) / len(recent) > self.fitted:
            self.holds -= 1
        else:
            self.position += 1


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


def _minibatches(count: int, minibatch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of minibatches without end; each casting once before any twice."""
    size = min(minibatch, max(2, count))  # batch norm needs two
    queue = torch.empty(0, dtype=torch.int64)
    while True:
        while len(queue) < size:
            queue = torch.cat([queue, torch.randperm(count, generator=generator)])
        yield queue[:size]
        queue = queue[size:]
