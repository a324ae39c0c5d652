"""The learning rate over the steps of a training."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.training.recipe import Recipe

_RECENT = 20  # steps whose mean loss says whether the labels are fitted


def steps_for(labels: int) -> int:
    """Steps that the recipe gives a round of `labels` castings."""
    return 30 + labels // 2


@dataclass
class Pace:
    """Where a training is: up in a line, held at the peak, down in half a cosine."""

    steps: int  # of the schedule, those that hold its peak not counted
    peak: int  # position of the highest learning rate
    fitted: float  # the peak is held while the mean of the last `_RECENT` losses is above this
    holds: int  # steps that may still hold the peak
    position: int = 0  # steps of the schedule that are done
    losses: list[float] = field(default_factory=list)  # of all steps

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
