"""What has to be known to build a network."""

from dataclasses import dataclass

BACKBONES = ("resnet18", "resnet34", "resnet50")  # of torchvision


@dataclass(frozen=True)
class NetworkSpec:
    """Part of every model version; `dropout` is the probability that a pass drops a feature."""

    backbone: str  # of `BACKBONES`
    channels: int  # 1 (grey) or 3 (colour)
    classes: int  # at least 2
    dropout: float = 0.5
    members: int = 1  # networks of an ensemble; 1 is no ensemble
