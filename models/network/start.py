"""The weights that every training of a campaign begins from: shipped, drawn, downloaded or read.

A start is known by the SHA-256 of its backbone's tensors, and says how pixels are normalised.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from models.errors import DataError, did_you_mean
from models.images import Preprocessing
from models.network.backbone import Backbone
from models.network.network import Network
from models.network.spec import NetworkSpec

SURFACE = Path(__file__).parent / "surface" / "surface_resnet18.safetensors"
_NAMED = ("surface", "imagenet", "scratch")


Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and deviation of each channel, of pixels in 0..1."""


@dataclass(frozen=True)
class Start:
    """A backbone on its starting weights, in eval mode, and what it takes pixels to be."""

    name: str
    backbone: Backbone
    mean: tuple[float, ...]  # per channel, of pixels in 0..1
    std: tuple[float, ...]

    @property
    def sha256(self) -> str:
        """Of its tensors."""
        return self.backbone.digest()

    def preprocessing(self, size: int) -> Preprocessing:
        """What is done to photographs before it sees them."""
        channels = len(self.mean)
        return Preprocessing(size=size, channels=channels, mean=self.mean, std=self.std)

    def network(self, spec: NetworkSpec) -> Network:
        """A network of a single member around this very backbone, its head still 0."""
        with torch.device("meta"):
            single = replace(spec, members=1, backbones=1)
            network = Network(single, nn.ModuleList([self.backbone]))
        network.standardisations.to_empty(device="cpu")
        network.heads.to_empty(device="cpu")
        network.standardisations[0] = type(network.standardisation)(network.pooled_count)
        nn.init.zeros_(network.head.weight)
        nn.init.zeros_(network.head.bias)
        return network.eval()


def check_weights(weights: str, backbone: str) -> None:
    """Refuse weights that are no name we know, no tag of timm's, and no file.

    Raises:
        DataError: it says what there is.
    """
    if weights == "surface" and backbone != "resnet18":
        raise DataError(
            f"--weights surface is a resnet18; {backbone} begins from imagenet, scratch, a timm "
            f"tag or a safetensors file"
        )
    tag = weights.removeprefix(f"{backbone}.")
    if weights in _NAMED or Path(weights).is_file() or tag in timm_tags(backbone):
        return
    tags, meant = ", ".join(sorted(timm_tags(backbone))), did_you_mean(weights, _NAMED)
    raise DataError(
        f"--weights {weights}: no such file{meant}, nor one of {', '.join(_NAMED)}, nor weights "
        f"of {backbone} in timm ({tags or 'it has none'})"
    )


@lru_cache(maxsize=8)
def timm_tags(backbone: str) -> frozenset[str]:
    """What timm calls the weights that it has of a backbone."""
    names = timm.list_pretrained(f"{backbone}.*")
    return frozenset(name.removeprefix(f"{backbone}.") for name in names)


def read_start(weights: str, spec: NetworkSpec, seed: int = 0) -> Start:
    """The start of that name; only `scratch` is drawn, from the seed.

    Raises:
        DataError: it cannot be had, or is another network's.
    """
    check_weights(weights, spec.backbone)
    if weights in {"surface", "scratch"} or Path(weights).is_file():
        with torch.device("meta"):  # timm would draw from the global generator
            backbone = Backbone(spec)
        backbone = backbone.to_empty(device="cpu")
        initialise(backbone, torch.Generator().manual_seed(seed))
        how: Normalisation = (0.45,), (0.25,)
        if weights != "scratch":
            file = SURFACE if weights == "surface" else Path(weights)
            how = _read_file(backbone, file, spec)
    else:
        backbone, how = _download(weights, spec)
    mean, std = (_for_channels(values, spec.channels) for values in how)
    backbone = backbone.eval().to(memory_format=torch.channels_last)
    return Start(weights, backbone, mean, std)


def _for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """A value for each channel: the given ones, or where they are more or fewer their mean."""
    if len(values) == channels:
        return values
    return (round(sum(values) / len(values), 6),) * channels


def initialise(backbone: nn.Module, generator: torch.Generator) -> None:
    """He et al. 2015 for convolutions; batch norms pass on what they are given."""
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif any(True for _ in module.parameters(recurse=False)):
            for parameter in module.parameters(recurse=False):
                nn.init.constant_(parameter, 1 / math.sqrt(max(1, parameter.shape[-1])))


def _read_file(backbone: Backbone, file: Path, spec: NetworkSpec) -> Normalisation:
    """Take the tensors of a file; its header may say how pixels are normalised."""
    try:
        tensors, notes = load_file(file), header(file)
        how = _numbers(notes.get("mean", "0.45")), _numbers(notes.get("std", "0.25"))
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise DataError(f"--weights {file}: not a safetensors file ({error})") from error
    _load(backbone, tensors, spec, str(file), how)
    return how


def _numbers(note: str) -> tuple[float, ...]:
    """A number or a list of them, in JSON."""
    numbers: list[float] = np.atleast_1d(np.asarray(json.loads(note), dtype=float)).tolist()
    if len(numbers) not in {1, 3}:
        raise ValueError(f"a number, or one for each of three channels, is needed, not {note}")
    return tuple(numbers)


def header(file: Path) -> dict[str, str]:
    """The notes in the header of a safetensors file."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        notes = json.loads(stream.read(length)).get("__metadata__", {})
    return dict(notes)


def _download(weights: str, spec: NetworkSpec) -> tuple[Backbone, Normalisation]:
    """Timm's weights, downloaded once and cached; DataError where they cannot be had."""
    tag = "" if weights == "imagenet" else "." + weights.removeprefix(f"{spec.backbone}.")
    name = f"{spec.backbone}{tag}"
    try:
        with torch.random.fork_rng(devices=[]):  # timm draws before it loads
            whole: nn.Module = timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub's clients raise nearly anything
        raise DataError(
            f"--weights {weights}: {name} cannot be downloaded ({error}); use --weights surface, "
            f"scratch, or PATH with a safetensors file"
        ) from error
    with torch.device("meta"):
        backbone = Backbone(spec)
    backbone = backbone.to_empty(device="cpu")
    cfg = cast("dict[str, Sequence[float]]", whole.pretrained_cfg)
    how = tuple(cfg["mean"]), tuple(cfg["std"])
    _load(backbone, whole.state_dict(), spec, name, how)
    return backbone, how


def _load(
    backbone: Backbone,
    tensors: dict[str, Tensor],
    spec: NetworkSpec,
    name: str,
    how: Normalisation,
) -> None:
    """Take a backbone's tensors; `how` is what they take pixels to be."""
    given = _by_any_name(tensors)
    wanted = backbone.stages.state_dict()
    if spec.channels == 1 and wanted:
        _make_grey(given, list(wanted), *how)
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    needed = wanted.keys() - counters
    unfit = [k for k in needed if k not in given or given[k].shape != wanted[k].shape]
    if unfit:
        raise DataError(
            f"{name}: {len(unfit)} of {len(needed)} tensors of {spec.backbone} are missing or of "
            f"another shape, first {sorted(unfit)[0]}; they are another network's weights"
        )
    zeros = {key: torch.zeros_like(wanted[key], device="cpu") for key in counters}
    backbone.stages.load_state_dict({key: given[key].float() for key in needed} | zeros)


def _by_any_name(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names that they have, and without the prefixes of versions and files.

    Of some families timm flattens the first dot where it gives stages.
    """
    given = {}
    for name, value in tensors.items():
        bare = name
        for prefix in ("", "backbones.0.", "backbone.", "trunk.", "stages."):
            bare = bare.removeprefix(prefix)
            given[bare] = given[bare.replace(".", "_", 1)] = value
    return given


def _make_grey(
    given: dict[str, Tensor], names: Sequence[str], mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    """A stem that makes of grey pixels what it made of them in three channels.

    It sums its filters over the channels. Where these were normalised apart, the difference goes
    into its bias or the batch norm that follows; at the edges, which are padded, a little of it is
    left.
    """
    stem = given.get(names[0])
    if stem is None or stem.ndim != 4 or stem.shape[1] == 1:  # noqa: PLR2004 -- filters
        return
    shared_mean, shared_std = sum(mean) / len(mean), sum(std) / len(std)
    scaled = stem.float() / torch.tensor(std).reshape(1, -1, 1, 1)
    given[names[0]] = scaled.sum(dim=1, keepdim=True) * shared_std
    offset = torch.tensor([shared_mean - value for value in mean]).reshape(1, -1, 1, 1)
    more_F = (scaled * offset).sum(dim=(1, 2, 3))
    bias = names[0].removesuffix("weight") + "bias"
    running = next((name for name in names if name.endswith("running_mean")), "")
    if bias in names and bias in given:
        given[bias] = given[bias].float() + more_F
    elif running in given and len(given[running]) == len(stem):
        given[running] = given[running].float() - more_F
