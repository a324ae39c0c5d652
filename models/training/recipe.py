"""How a round is trained."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """What every training of a campaign has in common.

    With 0 `steps`, `steps_for` chooses from the number of labels, and the learning rate stays at
    its peak while the labels are not `fitted`. Castings turned by right angles only, the `upright`
    ones, keep every pixel as sharp as it will be when castings are scored.
    """

    steps: int = 0
    minibatch: int = 32  # castings per step
    learning_rate: float = 8e-3  # peak of the one-cycle schedule
    fitted: float = 0.5  # share of the loss that the class counts alone would give
    patience: float = 1.0  # the peak is held for at most this many times the steps
    weight_decay: float = 0.05  # on filters only
    warm_up: float = 0.25  # share of the steps until the peak
    upright: float = 0.8  # share of castings; the others are turned freely
    zoom: float = 0.05  # those turned freely are scaled by up to this factor either way
    turned: bool = True  # else a casting's orientation tells something
    mirrored: bool = True  # else its handedness does
    light: float = 0.1  # brightness and contrast change by up to this share
