"""What has to be known to build a network."""

from dataclasses import dataclass

BACKBONES = ("resnet18", "resnet34", "resnet50")  # of torchvision


@dataclass(frozen=True)
class NetworkSpec:
    """What has to be known to build the network; part of every model version.

    Attributes:
        backbone: a name of `BACKBONES`.
        channels: 1 (grey) or 3 (colour).
        classes: number of classes C, at least 2.
        dropout: probability that a feature is dropped in a pass.
        members: networks of an ensemble; 1 is no ensemble.
    """

    backbone: str
    channels: int
    classes: int
    dropout: float = 0.5
    members: int = 1
