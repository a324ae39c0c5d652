"""The teacher: a ResNet-50-v2 of which the stem and three stages are known.

Pre-activation blocks (He et al. 2016b): batch norm, ReLU, then the convolution. Names of tensors
are those of the ONNX Model Zoo's `resnet50-v2-7` without its prefix.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

STAGES = {1: (3, 64, 256), 2: (4, 128, 512), 3: (6, 256, 1024)}  # units, inner and outer channels
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_UNIT = 3  # batch norms of a unit


class _Unit(nn.Module):
    def __init__(self, given: int, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first = nn.BatchNorm2d(given)
        self.reduce: nn.Module = nn.Conv2d(given, inner, 1, bias=False)
        self.second: nn.Module = nn.BatchNorm2d(inner)
        self.look: nn.Module = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False)
        self.third: nn.Module = nn.BatchNorm2d(inner)
        self.widen = nn.Conv2d(inner, outer, 1, bias=False)
        self.shortcut = None if given == outer else nn.Conv2d(given, outer, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = self.first(x).relu_()
        y = self.second(self.reduce(active)).relu_()
        y = self.third(self.look(y)).relu_()
        beside = x if self.shortcut is None else self.shortcut(active)
        return torch.add(self.widen(y), beside)

    def fold(self) -> None:
        """Put the inner batch norms into the convolutions before them."""
        for convolution, norm in (("reduce", "second"), ("look", "third")):
            fused = fuse_conv_bn_eval(getattr(self, convolution), getattr(self, norm))
            setattr(self, convolution, fused)
            setattr(self, norm, nn.Identity())


class Teacher(nn.Module):
    """Outputs of stages 1 to 3, after the next batch norm and ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.given = nn.BatchNorm2d(3)
        self.stem = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.stem_norm = nn.BatchNorm2d(64)
        stages, norms, channels = [], [], 64
        for stage, (units, inner, outer) in STAGES.items():
            stride = 1 if stage == 1 else 2
            row = [_Unit(channels, inner, outer, stride)]
            row += [_Unit(outer, inner, outer, 1) for _ in range(units - 1)]
            stages.append(nn.Sequential(*row))
            norms.append(nn.BatchNorm2d(outer))
            channels = outer
        self.stages, self.norms = nn.ModuleList(stages), nn.ModuleList(norms)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Of float32 `[N, 3, S, S]` in 0..1."""
        mean, deviation = (torch.tensor(v).reshape(3, 1, 1).to(images) for v in (MEAN, DEVIATION))
        images = (images - mean) / deviation
        x = self.stem_norm(self.stem(self.given(images))).relu_()
        x = functional.max_pool2d(x, 3, 2, padding=1)
        outputs = []
        for stage, norm in zip(self.stages, self.norms, strict=True):
            x = stage(x)
            outputs.append(norm(x).relu_())
        return outputs

    @classmethod
    def read(cls, file: Path) -> "Teacher":
        """The teacher of a safetensors file, in eval mode, its batch norms folded."""
        teacher, tensors = cls(), {k: v.float() for k, v in load_file(file).items()}
        teacher.load_state_dict(_renamed(tensors), strict=False)
        teacher.eval().requires_grad_(requires_grad=False)
        for stage in teacher.stages:
            for unit in stage.children():
                cast("_Unit", unit).fold()
        return teacher.to(memory_format=torch.channels_last)


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {"stem.weight": tensors["conv0_weight"]}
    renamed |= _norm("given", "batchnorm0", tensors) | _norm("stem_norm", "batchnorm1", tensors)
    for stage, (units, _, _) in STAGES.items():
        following = f"stage{stage + 1}_batchnorm0"
        renamed |= _norm(f"norms.{stage - 1}", following, tensors)
        convolution = 0
        for unit in range(units):
            here, there = f"stages.{stage - 1}.{unit}", f"stage{stage}"
            for index, norm in enumerate(("first", "second", "third")):
                renamed |= _norm(
                    f"{here}.{norm}", f"{there}_batchnorm{_UNIT * unit + index}", tensors
                )
            names = ["reduce", "look", "widen", *(["shortcut"] if unit == 0 else [])]
            for name in names:
                renamed[f"{here}.{name}.weight"] = tensors[f"{there}_conv{convolution}_weight"]
                convolution += 1
    return renamed


def _norm(here: str, there: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        f"{here}.weight": tensors[f"{there}_gamma"],
        f"{here}.bias": tensors[f"{there}_beta"],
        f"{here}.running_mean": tensors[f"{there}_running_mean"],
        f"{here}.running_var": tensors[f"{there}_running_var"],
    }
