"""How a round is trained."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a round is trained.

    Attributes:
        steps: SGD steps; 0 lets `steps_for` choose from the number of labels, and the learning
            rate stay at its peak while the labels are not fitted.
        minibatch: castings per step.
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
