"""The ResNets that a network stands on, and how their batch norms are folded away."""

from collections.abc import Callable

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision import models as zoo

BACKBONES: dict[str, Callable[..., zoo.ResNet]] = {
    "resnet18": zoo.resnet18,
    "resnet34": zoo.resnet34,
    "resnet50": zoo.resnet50,
}


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm among the children into the convolution before it."""
    before = ("", nn.Module())
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(before[1], nn.Conv2d):
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        before = (name, child)
