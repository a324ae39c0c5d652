"""The ResNets that a network stands on, and how their batch norms are folded away."""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision import models as zoo

from models.errors import DataError
from models.network.spec import BACKBONES


def build_backbone(name: str, channels: int) -> zoo.ResNet:
    """A ResNet for images of so many channels, without weights."""
    if name not in BACKBONES:
        raise DataError(f"no backbone {name!r}; there are {', '.join(BACKBONES)}")
    backbone: zoo.ResNet = getattr(zoo, name)(weights=None)
    if channels != backbone.conv1.in_channels:
        backbone.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
    return backbone


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm among the children into the convolution before it."""
    before = ("", nn.Module())
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(before[1], nn.Conv2d):
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        before = (name, child)
