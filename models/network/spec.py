"""What has to be known to build a network."""

from dataclasses import dataclass

STRIDES = (4, 8, 16)  # pixels of the input per cell of a stage
STATISTICS = ("mean", "maximum", "deviation")


@dataclass(frozen=True)
class NetworkSpec:
    """Part of every model version.

    Attributes:
        backbone: the name of a convolutional network in timm.
        channels: 1 (grey) or 3 (colour).
        classes: at least 2.
        dropout: the probability that a pass drops a feature.
        members: heads of an ensemble; 1 is no ensemble.
        backbones: 1, or one per member where each was trained from pixels.
        strides: the stages that features are taken from, by pixels per cell.
        statistics: of `STATISTICS`, what is taken of each channel of a stage.
    """

    backbone: str
    channels: int
    classes: int
    dropout: float = 0.5
    members: int = 1
    backbones: int = 1
    strides: tuple[int, ...] = STRIDES
    statistics: tuple[str, ...] = STATISTICS
