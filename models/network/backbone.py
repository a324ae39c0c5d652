"""The backbone: stages of a convolutional network of timm, pooled to features.

Of each chosen stage every channel gives its mean, maximum and standard deviation over the cells.
What textures look like lies in the middle stages; the last ones know what photographs are of.
"""

import copy
import hashlib
import threading
from contextlib import nullcontext
from difflib import get_close_matches
from typing import cast

import timm
import torch
from timm.layers.format import Format
from timm.models import FeatureHookNet, FeatureInfo
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.errors import DataError
from models.images import Preprocessing
from models.network.device import autocast, precision, scoring_precision
from models.network.int8 import Int8Stages, convolutions, largest_inputs, runs_in_int8
from models.network.spec import NetworkSpec

_HOOKED = threading.Lock()  # timm's hooks leave what they saw at the network, whoever runs it


class Backbone(nn.Module):
    """Images to pooled stages; `int8` runs it, in a twin `for_inference` that can."""

    largest_inputs: Tensor  # of convolutions, at most, float32 `[L]`; 0 until observed

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.stages = build_stages(spec.backbone, spec.channels, spec.strides)
        self.statistics = spec.statistics
        self.pooled_count = sum(_info(self.stages).channels()) * len(spec.statistics)
        self.register_buffer("largest_inputs", torch.zeros(len(convolutions(self.stages))))
        self.int8: Int8Stages | None = None
        self.sha256 = ""  # of what a twin `for_inference` was made from

    def forward(self, images: Tensor) -> Tensor:
        """Pooled stages, float32 `[N, P]`, of normalised images `[N, channels, S, S]`."""
        return pool(self.maps(images), self.statistics)

    def maps(self, images: Tensor) -> list[Tensor]:
        """The chosen stages `[N, channels, H, W]`, the finest first."""
        images = images.contiguous(memory_format=torch.channels_last)
        if self.int8 is not None:
            return self.int8(images)
        dtype = next(self.stages.parameters()).dtype
        with _HOOKED if isinstance(self.stages, FeatureHookNet) else nullcontext():
            if dtype != torch.float32:  # a twin `for_inference` may be bf16 throughout
                return list(self.stages(images.to(dtype)))
            with autocast(images.device):
                return list(self.stages(images))

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.largest_inputs.device

    @property
    def precision(self) -> str:
        """`int8`, `bf16` or `fp32`: what it computes in."""
        return precision(self.device) if self.int8 is None else "int8"

    @torch.no_grad()
    def observe_activations(self, images: Tensor) -> None:
        """Note how large the inputs of convolutions get on normalised castings, in eval mode."""
        self.largest_inputs.copy_(largest_inputs(self.stages, lambda: self.maps(images)))

    def digest(self) -> str:
        """SHA-256 of its tensors, with their names, in hexadecimal."""
        return digest_of(self.state_dict())

    def for_inference(self, preprocessing: Preprocessing) -> "Backbone":
        """Its twin in eval mode that answers sooner, and is neither trained nor saved.

        Batch norms are folded into their convolutions. Then it is run in int8, where that is
        known for its kind, its activations were observed and the processor is made for bytes.
        Where it is run in bf16 its weights are kept so: a lone casting would wait for them to be
        converted.
        """
        if self.sha256:
            return self
        twin = copy.deepcopy(self).eval()
        twin.sha256 = self.digest()
        for module in list(twin.stages.modules()):
            fold_batch_norms(module)
        levels = preprocessing.levels
        if (
            scoring_precision(self.device) == "int8"
            and runs_in_int8(twin.stages)
            and levels is not None
            and self.largest_inputs.any()
        ):
            twin.int8 = Int8Stages(twin.stages, self.largest_inputs, *levels)
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
    if not timm.is_model(name):
        nearest = get_close_matches(name, timm.list_models(), n=3)
        raise DataError(f"no backbone {name!r} in timm; near are {', '.join(nearest) or 'none'}")
    try:
        whole = timm.create_model(name, features_only=True, in_chans=channels)
        info = _info(whole)
        reductions = list(info.reduction())
        chosen = [row for row, reduction in enumerate(reductions) if reduction in strides]
        indices = tuple(info.out_indices[row] for row in chosen)
        built: nn.Module = timm.create_model(
            name, features_only=True, in_chans=channels, out_indices=indices
        )
    except (RuntimeError, AssertionError, AttributeError, TypeError) as error:
        raise DataError(f"--backbone {name}: gives no maps of its stages ({error})") from error
    if [reductions[row] for row in chosen] != list(strides):
        raise DataError(
            f"--backbone {name}: has stages of {', '.join(map(str, reductions))} pixels per cell, "
            f"{', '.join(map(str, strides))} are needed"
        )
    if getattr(built, "output_fmt", Format.NCHW) is not Format.NCHW:
        raise DataError(f"--backbone {name}: is no convolutional network")
    return built


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
