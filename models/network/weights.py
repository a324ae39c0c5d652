"""The weights that a training begins from: drawn, downloaded, or read from a file."""

import math
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models as zoo

from models.errors import DataError
from models.network.network import Network
from models.network.spec import NetworkSpec


def build(spec: NetworkSpec, weights: str, generator: torch.Generator) -> Network:
    """A network on its starting weights; the generator draws whatever is not loaded.

    They are `scratch` (He initialisation), `imagenet` (torchvision's, downloaded once and cached)
    or the path of a safetensors file with the backbone's tensors; a DataError says why they
    cannot be had or do not fit.
    """
    with torch.device("meta"):  # torchvision would draw from the global generator
        network = Network(spec)
    network = network.to_empty(device="cpu")
    _initialise(network, generator)
    if weights != "scratch":
        _load_backbone(network, _starting_weights(spec, weights), weights)
    return network.to(memory_format=torch.channels_last)


def _initialise(network: Network, generator: torch.Generator) -> None:
    """He et al. 2015 for convolutions; the last batch norm of a block starts at 1, as usual."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, Network):
            nn.init.zeros_(module.largest_inputs)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.zeros_(module.bias)


def check_weights(weights: str) -> None:
    """Refuse starting weights that are neither known by name nor a file."""
    if weights not in {"scratch", "imagenet"} and not Path(weights).is_file():
        raise DataError(
            f"--weights {weights}: no such file; give scratch, imagenet, or a safetensors file"
        )


def _starting_weights(spec: NetworkSpec, weights: str) -> dict[str, Tensor]:
    if weights == "imagenet":
        try:
            state = zoo.get_model_weights(spec.backbone).DEFAULT.get_state_dict(check_hash=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: its hash is wrong
            raise DataError(
                f"the ImageNet weights of {spec.backbone} cannot be downloaded ({error}); "
                f"use --weights scratch, or --weights PATH with a safetensors file"
            ) from error
        return dict(state)
    check_weights(weights)
    try:
        return load_file(weights)
    except SafetensorError as error:
        raise DataError(f"--weights {weights}: not a safetensors file ({error})") from error


def _load_backbone(network: Network, state: dict[str, Tensor], name: str) -> None:
    """Take the backbone's tensors; grey networks get the sum of a colour stem's channels."""
    # the weights of a version have the prefix, `trunk.` up to format 3
    backbone = {
        key.removeprefix("trunk.").removeprefix("backbone."): value for key, value in state.items()
    }
    stem = backbone.get("conv1.weight")
    if stem is not None and network.spec.channels == 1 and stem.shape[1] != 1:
        backbone["conv1.weight"] = stem.sum(dim=1, keepdim=True)
    wanted = network.backbone.state_dict()
    unfit = [k for k, v in wanted.items() if k not in backbone or backbone[k].shape != v.shape]
    if unfit:
        raise DataError(
            f"{name}: {len(unfit)} of {len(wanted)} tensors of {network.spec.backbone} are "
            f"missing or of another shape, first {unfit[0]}; they are another network's weights"
        )
    network.backbone.load_state_dict({key: backbone[key] for key in wanted})
