"""The backbone in int8, as it is run where castings are scored.

Processors multiply bytes twice as fast as bf16 numbers. What a convolution is given follows a ReLU
and is stored as 0..255 of a scale of its own, filters as -127..127 of a scale for each (Jacob et
al. 2018; Krishnamoorthi 2018). Sums of integers are exact in any order, so a casting has the same
features in every minibatch. Pixels are bytes already: of the stem only the filters are rounded,
and the place of 0 to a whole grey level.

The operators are those that torch itself compiles quantised networks to (`torch.ops.onednn`), used
here without its compiler, which takes twenty seconds per version.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from timm.models import FeatureInfo
from torch import Tensor, nn

_HEADROOM = 1.5  # what is larger by this than ever before is not cut off
_MOST, _MOST_SIGNED = 255, 127
_LEAST = 1e-6  # a scale of 0 would be divided by


def runs_in_int8(stages: nn.Module) -> bool:
    """Whether these are stages of a plain ResNet, the kind that is known here.

    Its stem is a single convolution, and so is a shortcut that is not the identity.
    """
    plain = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Identity)
    blocks = [block for stage in _stages(stages) for block in stage.children()]
    stem = [m for name, m in stages.named_children() if not name.startswith("layer")]
    rows = [stem]
    for block in blocks:
        inner = dict(block.named_children())
        shortcut = inner.pop("downsample", None)
        rows += [list(inner.values()), [] if shortcut is None else list(shortcut.children())]
    return (
        {type(block).__name__ for block in blocks} in ({"BasicBlock"}, {"Bottleneck"})
        and all(type(module) in plain for row in rows for module in row)
        and all(isinstance(row[0], nn.Conv2d) for row in rows if row)
    )


def convolutions(stages: nn.Module) -> list[nn.Conv2d]:
    """All but the stem, the first."""
    return [module for module in stages.modules() if isinstance(module, nn.Conv2d)][1:]


def largest_inputs(stages: nn.Module, run: Callable[[], object]) -> Tensor:
    """The largest number that each of `convolutions` is given while `run` runs, float32 `[L]`."""
    largest_L = torch.zeros(len(convolutions(stages)))

    def hook(index: int, given: Tensor) -> None:
        largest_L[index] = max(largest_L[index], given.max().float().cpu())

    hooks = [
        convolution.register_forward_pre_hook(lambda _, given, index=index: hook(index, given[0]))
        for index, convolution in enumerate(convolutions(stages))
    ]
    run()
    for handle in hooks:
        handle.remove()
    return largest_L


class Int8Stages:
    """Stages of a ResNet whose filters are int8.

    Args:
        stages: their batch norms are folded.
        largest_L: what `largest_inputs` observed on castings of the kind to be scored.
        level: of the input, how far normalised pixels of neighbouring levels lie apart.
        black: of the input, how many levels black pixels lie below 0.
    """

    def __init__(self, stages: nn.Module, largest_L: Tensor, level: float, black: float) -> None:
        scales = (largest_L * (_HEADROOM / _MOST)).clamp(min=_LEAST).tolist()
        packed = {
            convolution: _Convolution.of(convolution, scale)
            for convolution, scale in zip(convolutions(stages), scales, strict=True)
        }
        self._level, self._black = level, black
        stem = cast("nn.Conv2d", stages.get_submodule("conv1"))
        self._stem = _Convolution.of(stem, level, round(black))
        self._stages = [
            [_Block.of(block, packed) for block in stage.children()] for stage in _stages(stages)
        ]
        chosen = cast("FeatureInfo", stages.feature_info).module_name()
        names = [name for name, _ in stages.named_children() if name.startswith("layer")]
        stages_of = dict(zip(names, self._stages, strict=True))
        self._chosen = [stages_of[name][-1] for name in chosen]

    def __call__(self, images: Tensor) -> list[Tensor]:
        """The chosen stages' outputs, of normalised images in channels-last order."""
        pixels = _to_bytes(images, self._level, self._black)
        x = _pooled(self._stem.relu(pixels, self._stages[0][0].scale))
        outputs = []
        blocks = [block for stage in self._stages for block in stage]
        for block, after in zip(blocks, [*blocks[1:], None], strict=True):
            x = block(x, None if after is None else after.scale)
            if block in self._chosen:
                outputs.append(x.float() * (1.0 if after is None else after.scale))
        return outputs


def _stages(stages: nn.Module) -> list[nn.Module]:
    return [module for name, module in stages.named_children() if name.startswith("layer")]


@dataclass(frozen=True)
class _Convolution:
    """Filters of scales, for bytes of one scale, where the byte `zero` is 0.

    Attributes:
        how: stride, padding, dilation, groups.
    """

    filters: Tensor
    scales_F: Tensor
    zeros_F: Tensor
    bias_F: Tensor
    scale: float
    zero: int
    how: tuple[list[int], list[int], list[int], int]

    @classmethod
    def of(cls, convolution: nn.Conv2d, scale: float, zero: int = 0) -> "_Convolution":
        weight = convolution.weight.detach().float()
        scales_F = (weight.abs().amax(dim=(1, 2, 3)) / _MOST_SIGNED).clamp(min=_LEAST)
        rounded = (weight / scales_F.reshape(-1, 1, 1, 1)).round().to(torch.int8).contiguous()
        stride, dilation = list(convolution.stride), list(convolution.dilation)
        padding = list(cast("tuple[int, ...]", convolution.padding))
        how = (stride, padding, dilation, convolution.groups)
        filters = torch.ops.onednn.qconv_prepack(rounded, scales_F, scale, zero, *how)
        bias_F = cast("Tensor", convolution.bias).detach().float()
        zeros_F = torch.zeros(len(bias_F), dtype=torch.int64)
        return cls(filters, scales_F, zeros_F, bias_F, scale, zero, how)

    def relu(self, x: Tensor, scale: float) -> Tensor:
        """Bytes of a scale."""
        return self._run(x, scale, torch.uint8, "relu")

    def plain(self, x: Tensor) -> Tensor:
        """Numbers in bf16."""
        return self._run(x, 1.0, torch.bfloat16, "none")

    def _run(self, x: Tensor, scale: float, dtype: torch.dtype, after: str) -> Tensor:
        packed = (self.scale, self.zero, self.filters, self.scales_F, self.zeros_F)
        run = torch.ops.onednn.qconv2d_pointwise
        numbers: Tensor = run(x, *packed, self.bias_F, *self.how, scale, 0, dtype, after, [], "")
        return numbers

    def onto(self, x: Tensor, shortcut: Tensor, from_scale: float, scale: float) -> Tensor:
        """ReLU of the sum with a shortcut, in its place: bytes of a new scale, or bf16."""
        packed = (self.scale, self.zero, self.filters, self.scales_F, self.zeros_F)
        both = (scale, 0, shortcut.dtype, from_scale, 0, "sum", 1.0, "relu")
        run = torch.ops.onednn.qconv2d_pointwise.binary
        numbers: Tensor = run(x, *packed, shortcut, self.bias_F, *self.how, *both, [], "")
        return numbers


@dataclass(frozen=True, eq=False)
class _Block:
    """Convolutions one after the other, and a shortcut: the identity or another convolution."""

    inner: list[_Convolution]
    last: _Convolution
    shortcut: _Convolution | None

    @classmethod
    def of(cls, block: nn.Module, packed: dict[nn.Conv2d, _Convolution]) -> "_Block":
        *inner, last = [
            packed[module] for module in block.children() if isinstance(module, nn.Conv2d)
        ]
        downsample = cast("nn.Sequential | None", block.downsample)
        shortcut = None if downsample is None else packed[cast("nn.Conv2d", downsample[0])]
        return cls(inner, last, shortcut)

    @property
    def scale(self) -> float:
        """That of the bytes it is given."""
        return self.inner[0].scale

    def __call__(self, x: Tensor, scale: float | None) -> Tensor:
        """Bytes of a scale, or numbers in bf16; the bytes given are written over."""
        y = x
        for convolution, after in zip(self.inner, [*self.inner[1:], self.last], strict=True):
            y = convolution.relu(y, after.scale)
        if self.shortcut is None and scale is not None:
            return self.last.onto(y, x, self.scale, scale)
        if self.shortcut is None:
            shortcut = (x.float() * self.scale).bfloat16()
        else:
            shortcut = self.shortcut.plain(x)
        numbers = self.last.onto(y, shortcut, 1.0, 1.0)
        return numbers if scale is None else _to_bytes(numbers, scale)


def _to_bytes(numbers: Tensor, scale: float, zero: float = 0) -> Tensor:
    """Each as the nearest multiple of a scale, from 0 to 255 with `zero` added."""
    return (numbers.float() * (1 / scale)).add_(zero).round_().clamp_(0, _MOST).to(torch.uint8)


def _pooled(x: Tensor) -> Tensor:
    """The stem's max pool, 3 x 3 at a stride of 2; torch has none for bytes."""
    return _largest_of_three(_largest_of_three(x).mT).mT


def _largest_of_three(x: Tensor) -> Tensor:
    """Along the last axis, of each second place and its neighbours."""
    middle, right = x[..., ::2], x[..., 1::2]
    largest = middle.clone()
    for part, beside in (
        (largest[..., : right.shape[-1]], right),
        (largest[..., 1:], right[..., : middle.shape[-1] - 1]),
    ):
        torch.maximum(part, beside, out=part)
    return largest
