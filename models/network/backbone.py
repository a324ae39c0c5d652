"""The backbone: stages of a convolutional network of timm, pooled to features.

Of each chosen stage every channel gives its mean, maximum and standard deviation over the cells.
What textures look like lies in the middle stages; the last ones know what photographs are of.
"""

import copy
import hashlib
import threading
from contextlib import nullcontext
from functools import lru_cache
from typing import cast

import timm
import torch
from timm.layers.format import Format
from timm.models import FeatureHookNet, FeatureInfo
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.errors import DataError, did_you_mean
from models.network.device import autocast, precision
from models.network.spec import NetworkSpec

_HOOKED = threading.Lock()  # timm's hooks leave what they saw at the network, whoever runs it


class Backbone(nn.Module):
    """Images to pooled stages."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.stages = build_stages(spec.backbone, spec.channels, spec.strides)
        self.statistics = spec.statistics
        self.pooled_count = sum(_info(self.stages).channels()) * len(spec.statistics)
        self.sha256 = ""  # of what a twin `for_inference` was made from

    def forward(self, images: Tensor) -> Tensor:
        """Pooled stages, float32 `[N, P]`, of normalised images `[N, channels, S, S]`."""
        return pool(self.maps(images), self.statistics)

    def maps(self, images: Tensor) -> list[Tensor]:
        """The chosen stages `[N, channels, H, W]`, the finest first."""
        images = images.contiguous(memory_format=torch.channels_last)
        dtype = next(self.stages.parameters()).dtype
        with _HOOKED if isinstance(self.stages, FeatureHookNet) else nullcontext():
            if dtype != torch.float32:  # a twin `for_inference` may be bf16 throughout
                return list(self.stages(images.to(dtype)))
            with autocast(images.device):
                return list(self.stages(images))

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return next(self.stages.parameters()).device

    @property
    def precision(self) -> str:
        """`bf16` or `fp32`: what it computes in."""
        return precision(self.device)

    def digest(self) -> str:
        """SHA-256 of its tensors, with their names, in hexadecimal."""
        return digest_of(self.state_dict())

    def for_inference(self) -> "Backbone":
        """Its twin in eval mode that answers sooner, and is neither trained nor saved.

        Batch norms are folded into their convolutions. Where it is run in bf16 its weights are
        kept so: a lone casting would wait for them to be converted.
        """
        if self.sha256:
            return self
        twin = copy.deepcopy(self).eval()
        twin.sha256 = self.digest()
        for module in list(twin.stages.modules()):
            fold_batch_norms(module)
        if precision(self.device) == "bf16":
            twin.stages.bfloat16()
        return twin.to(memory_format=torch.channels_last)


def pool(maps: list[Tensor], statistics: tuple[str, ...]) -> Tensor:
    """Statistics of every channel over the cells, float32 `[N, P]`, stage after stage."""
    cells = [stage.float().flatten(2) for stage in maps]
    return torch.cat([_of_cells(stage, name) for stage in cells for name in statistics], dim=1)


def _of_cells(cells_N_F_L: Tensor, statistic: str) -> Tensor:
    if statistic == "mean":
        return cells_N_F_L.mean(dim=2)
    if statistic == "maximum":
        return cells_N_F_L.amax(dim=2)
    variance_N_F = cells_N_F_L.var(dim=2, correction=0)
    return variance_N_F.clamp(min=0).sqrt()  # the clamp makes the gradient at 0 one of 0, not NaN


def build_stages(name: str, channels: int, strides: tuple[int, ...]) -> nn.Module:
    """The stages of a network of timm, without weights; DataError where there is none."""
    built: nn.Module = timm.create_model(
        name, features_only=True, in_chans=channels, out_indices=_indices(name, strides)
    )
    return built


@lru_cache(maxsize=8)
def _indices(name: str, strides: tuple[int, ...]) -> tuple[int, ...]:
    """Which of a network's stages have these many pixels per cell; DataError where it has none."""
    if not timm.is_model(name):
        meant = did_you_mean(name, timm.list_models())
        raise DataError(f"--backbone {name}: timm has no network of that name{meant}")
    try:
        with torch.device("meta"):
            whole = timm.create_model(name, features_only=True)
        info = _info(whole)
        reductions = list(info.reduction())
        chosen = [row for row, reduction in enumerate(reductions) if reduction in strides]
        indices = tuple(info.out_indices[row] for row in chosen)
    except (RuntimeError, AssertionError, AttributeError, TypeError) as error:
        raise DataError(f"--backbone {name}: gives no maps of its stages ({error})") from error
    if [reductions[row] for row in chosen] != list(strides):
        raise DataError(
            f"--backbone {name}: has stages of {', '.join(map(str, reductions))} pixels per cell, "
            f"{', '.join(map(str, strides))} are needed"
        )
    if getattr(whole, "output_fmt", Format.NCHW) is not Format.NCHW:
        raise DataError(f"--backbone {name}: is no convolutional network")
    return indices


def _info(stages: nn.Module) -> FeatureInfo:
    """What timm says about the stages."""
    return cast("FeatureInfo", stages.feature_info)


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each plain batch norm among the children into the convolution before it."""
    before = ("", nn.Module())
    for name, child in list(module.named_children()):
        if type(child) is nn.BatchNorm2d and isinstance(before[1], nn.Conv2d):
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        before = (name, child)


def digest_of(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of tensors with their names, in hexadecimal; counters of batches left out."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if not name.endswith("num_batches_tracked"):
            tensor = tensors[name].detach().cpu().float().contiguous()
            digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
