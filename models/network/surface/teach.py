"""A student learns to answer as its teacher does, stage by stage.

The student is a ResNet-18 without its last stage. A 1 x 1 convolution per stage maps its channels
to the teacher's (Romero et al. 2015), standardised and clipped, and both see the same crops in
ever new scales, lights and mirrors (Beyer et al. 2022). Work is resumed from its checkpoint.
"""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18
from tqdm import tqdm

from models.network.device import autocast, best_device
from models.network.start import initialise
from models.network.surface.teacher import STAGES, Teacher

WIDTHS = (64, 128, 256)  # channels of the student's stages
_SIDE = 112  # pixels, of what both are shown
_LEAST_CROP = 98  # pixels of a crop that are scaled to that
GREY_MEAN, GREY_DEVIATION = 0.449, 0.226  # of what the student sees, the same for each channel
_GREY, _CONTRAST, _BRIGHTNESS = 0.6, 0.4, 20 / 255
_CLIP = 6.0
_STANDARDISED_ON = 512  # crops
_WARM_UP = 0.02  # share of the steps
_CLIP_NORM = 5.0
EVERY = 500  # steps between checkpoints


Moments = list[tuple[Tensor, Tensor]]
"""Mean and deviation of every channel, `[1, F, 1, 1]`, of each stage."""


@dataclass(frozen=True)
class Lesson:
    """How long and how fast a student is taught."""

    images: int  # shown in all
    minibatch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.02

    @property
    def steps(self) -> int:
        """How many minibatches are shown."""
        return math.ceil(self.images / self.minibatch)


class Student(nn.Module):
    """Stem and stages 1 to 3 of a ResNet-18, named as in torchvision, and the maps."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        with torch.device("meta"):
            backbone = resnet18()
        del backbone.layer4, backbone.fc
        self.backbone = backbone.to_empty(device="cpu")
        wanted = [outer for _, _, outer in STAGES.values()]
        self.maps = nn.ModuleList(
            nn.Conv2d(width, teacher, 1) for width, teacher in zip(WIDTHS, wanted, strict=True)
        )
        initialise(self, generator)

    def take(self, file: Path) -> None:
        """The backbone's tensors of a start that was written before."""
        tensors = {name: value.float() for name, value in load_file(file).items()}
        lacking, odd = self.backbone.load_state_dict(tensors, strict=False)
        wrong = [*odd, *(name for name in lacking if not name.endswith("num_batches_tracked"))]
        if wrong:
            raise ValueError(f"{file}: is no start of this kind, see {', '.join(wrong)}")

    def forward(self, images: Tensor) -> list[Tensor]:
        """What it takes each of the teacher's stages to be."""
        x = self.backbone.relu(self.backbone.bn1(self.backbone.conv1(images)))
        x = self.backbone.maxpool(x)
        answers = []
        for stage, mapped in zip(("layer1", "layer2", "layer3"), self.maps, strict=True):
            x = getattr(self.backbone, stage)(x)
            answers.append(mapped(x))
        return answers


def teach(
    crops: NDArray[np.uint8],
    teacher: Teacher,
    lesson: Lesson,
    checkpoint: Path,
    *,
    begin: Path | None,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Teach a student on crops, uint8 `[M, S, S, 3]`, and return its backbone's tensors.

    It begins from the tensors of `begin`, or from nothing; from `checkpoint` where there is one.
    """
    device = best_device()
    student = Student(torch.Generator().manual_seed(seed))
    if begin is not None:
        student.take(begin)
    student = student.to(device).to(memory_format=torch.channels_last).train()
    teacher.to(device)
    usual = _channels(crops, teacher)
    optimiser = torch.optim.AdamW(
        student.parameters(), lesson.learning_rate, weight_decay=lesson.weight_decay, fused=True
    )
    first, losses = _resume(checkpoint, student, optimiser)
    bar = tqdm(range(first, lesson.steps), initial=first, total=lesson.steps, file=sys.stderr)
    for step in bar:
        images = _images(crops, lesson.minibatch, _generator(seed, step)).to(device)
        loss_S = _losses(student, teacher, usual, images)
        optimiser.zero_grad()
        loss_S.sum().backward()
        nn.utils.clip_grad_norm_(student.parameters(), _CLIP_NORM)
        for group in optimiser.param_groups:
            group["lr"] = lesson.learning_rate * _share(step, lesson.steps)
        optimiser.step()
        losses = losses.lerp(loss_S.detach().cpu(), 0.01 if step else 1.0)
        bar.set_postfix_str(" ".join(f"{loss:.4f}" for loss in losses.tolist()), refresh=False)
        if (step + 1) % EVERY == 0 or step + 1 == lesson.steps:
            kept = {"student": student.state_dict(), "optimiser": optimiser.state_dict()}
            partial = checkpoint.with_suffix(".partial")
            torch.save(kept | {"step": step + 1, "losses": losses}, partial)
            partial.replace(checkpoint)
    return {name: value.cpu() for name, value in student.backbone.state_dict().items()}


def write(tensors: dict[str, Tensor], file: Path) -> None:
    """Keep filters in bf16, all else in float32; the header says how pixels are normalised."""
    kept = {
        name: value.bfloat16().contiguous() if value.ndim == 4 else value  # noqa: PLR2004 -- filters
        for name, value in tensors.items()
        if not name.endswith("num_batches_tracked")
    }
    notes = {"mean": json.dumps(GREY_MEAN), "std": json.dumps(GREY_DEVIATION)}
    save_file(kept, file, notes)


def _generator(seed: int, step: int) -> torch.Generator:
    """Each step has its own: a lesson that is resumed goes on as if it had not been cut off."""
    return torch.Generator().manual_seed((seed << 32) + step)


def _resume(
    checkpoint: Path, student: Student, optimiser: torch.optim.Optimizer
) -> tuple[int, Tensor]:
    """Take what was kept, if anything; the next step, and the running losses."""
    if not checkpoint.is_file():
        return 0, torch.zeros(len(WIDTHS))
    kept = torch.load(checkpoint, weights_only=True)
    student.load_state_dict(kept["student"])
    optimiser.load_state_dict(kept["optimiser"])
    return kept["step"], kept["losses"]


def _losses(student: Student, teacher: Teacher, usual: Moments, images: Tensor) -> Tensor:
    """The loss of each stage: how far the student is from the teacher, standardised."""
    with torch.no_grad(), autocast(images.device):
        stages = teacher(images)
    with autocast(images.device):
        answers = student(_standardised(images))
    losses = []
    for answer, stage, (mean, deviation) in zip(answers, stages, usual, strict=True):
        target = ((stage.float() - mean) / deviation).clamp_(-_CLIP, _CLIP)
        losses.append(functional.smooth_l1_loss(answer.float(), target))
    return torch.stack(losses)


def _standardised(images: Tensor) -> Tensor:
    """As the student sees them."""
    return (images - GREY_MEAN) / GREY_DEVIATION


def _share(step: int, steps: int) -> float:
    """The learning rate beside its peak: up in a line, down in half a cosine."""
    warm = max(1, round(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2


def _channels(crops: NDArray[np.uint8], teacher: Teacher) -> Moments:
    """Mean and standard deviation of every channel of the teacher's stages."""
    generator, device = torch.Generator().manual_seed(0), best_device()
    minibatch, outputs = 32, []
    with torch.inference_mode():
        for _ in range(_STANDARDISED_ON // minibatch):
            stages = teacher(_images(crops, minibatch, generator).to(device))
            outputs.append([_moments(stage) for stage in stages])
    found = []
    for stage in zip(*outputs, strict=True):
        mean = torch.stack([first for first, _ in stage]).mean(dim=0)
        square = torch.stack([second for _, second in stage]).mean(dim=0)
        deviation = (square - mean**2).clamp(min=1e-6).sqrt()
        found.append((mean.reshape(1, -1, 1, 1).clone(), deviation.reshape(1, -1, 1, 1).clone()))
    return found


def _moments(stage: Tensor) -> tuple[Tensor, Tensor]:
    return stage.mean(dim=(0, 2, 3)), stage.square().mean(dim=(0, 2, 3))


def _images(crops: NDArray[np.uint8], count: int, generator: torch.Generator) -> Tensor:
    """Crops of crops, mirrored, greyed and lit, float32 `[count, 3, _SIDE, _SIDE]` in 0..1."""
    rows = torch.randint(len(crops), (count,), generator=generator)
    images = torch.stack([_crop(crops[row], generator) for row in rows.tolist()])
    chance: Sequence[Tensor] = torch.rand(4, count, 1, 1, 1, generator=generator).unbind()
    grey = images.mean(dim=1, keepdim=True).expand_as(images)
    images = torch.where(chance[0] < _GREY, grey, images)
    contrast, brightness = chance[1] * 2 - 1, chance[2] * 2 - 1
    images = images * (1 + _CONTRAST * contrast) + _BRIGHTNESS * brightness
    return images.clamp(0, 1).contiguous(memory_format=torch.channels_last)


def _crop(crop: NDArray[np.uint8], generator: torch.Generator) -> Tensor:
    """A random square of a crop, scaled; mirrored and transposed by chance."""
    full = crop.shape[0]
    side, *rest = torch.randint(2**31, (4,), generator=generator).tolist()
    side = _LEAST_CROP + side % (full - _LEAST_CROP + 1)
    top, left = (place % (full - side + 1) for place in rest[:2])
    pixels = torch.from_numpy(np.ascontiguousarray(crop[top : top + side, left : left + side]))
    image = pixels.permute(2, 0, 1).float().div_(255).unsqueeze(0)
    size = (_SIDE, _SIDE)
    image = functional.interpolate(
        image, size, mode="bilinear", antialias=True, align_corners=False
    )
    image = image[0].flip(2) if rest[2] & 1 else image[0]
    return image.mT if rest[2] & 2 else image
