"""The ResNet: a trunk that is run once per casting, and a linear head behind dropout.

The trunk maps images to features `[N, F]`; the head is one matrix, kept apart because K dropout
passes differ only there (`models.network.mc_dropout`).
"""

import copy
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision import models as zoo

from models.errors import DataError
from models.images import Preprocessing
from models.network.int8 import WholeNumberTrunk, convolutions, largest_inputs
from models.network.mc_dropout import pass_masks

BACKBONES: dict[str, Callable[..., zoo.ResNet]] = {
    "resnet18": zoo.resnet18,
    "resnet34": zoo.resnet34,
    "resnet50": zoo.resnet50,
}


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


class Network(nn.Module):
    """Trunk and head; `forward` gives the logits `[N, C]` of the pass without dropout.

    Attributes:
        largest_inputs: of the trunk's convolutions, float32 `[L]`; 0 until `calibrate`.
        whole_numbers: runs the trunk, in a twin `for_inference` that can.
    """

    largest_inputs: Tensor

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        if spec.backbone not in BACKBONES:
            raise DataError(
                f"no backbone {spec.backbone!r}; there are {', '.join(sorted(BACKBONES))}"
            )
        self.spec = spec
        trunk = BACKBONES[spec.backbone](weights=None)
        self.feature_count = trunk.fc.in_features
        if spec.channels != trunk.conv1.in_channels:
            trunk.conv1 = nn.Conv2d(
                spec.channels, 64, kernel_size=7, stride=2, padding=3, bias=False
            )
        trunk.fc = nn.Identity()
        self.trunk = trunk
        self.head = nn.Linear(self.feature_count, spec.classes)
        self.register_buffer("largest_inputs", torch.zeros(len(convolutions(trunk))))
        self.whole_numbers: WholeNumberTrunk | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[N, C]` of normalised images `[N, channels, size, size]`."""
        logits: Tensor = self.head(self.features(images))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """Trunk output, float32 `[N, F]`."""
        images = images.contiguous(memory_format=torch.channels_last)
        dtype = self.trunk.conv1.weight.dtype
        if self.whole_numbers is not None:
            return self.whole_numbers(images)
        mixed = dtype == torch.float32  # a twin `for_inference` may be bf16 throughout
        with autocast(images.device) if mixed else nullcontext():
            features: Tensor = self.trunk(images.to(dtype))
        return features.float()

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.head.weight.device

    @property
    def precision(self) -> str:
        """`int8`, `bf16` or `fp32`: what the trunk computes in."""
        return precision(self.device) if self.whole_numbers is None else "int8"

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Learn from normalised castings, in eval mode, how large inputs of convolutions get."""
        largest_L = largest_inputs(self.trunk, lambda: self.features(images))
        self.largest_inputs.copy_(largest_L)

    def readout(self) -> tuple[Tensor, Tensor]:
        """Weight `[C, F]` and bias `[C]` of the last layer, on the CPU."""
        return self.head.weight.detach().cpu(), self.head.bias.detach().cpu()

    def pass_masks(self, passes: int, seed: int) -> Tensor:
        """The dropout masks `[K, F]` of K passes."""
        return pass_masks(passes, self.feature_count, self.spec.dropout, seed)

    def plain_masks(self) -> Tensor:
        """The mask `[1, F]` of the pass without dropout."""
        return torch.ones(1, self.feature_count)

    def for_inference(self, preprocessing: Preprocessing) -> "Network":
        """Its twin in eval mode that answers sooner, and is neither trained nor saved.

        Batch norms are folded into their convolutions. Then the trunk is run in whole numbers,
        where the network is calibrated and the processor made for them. Where it is run in bf16
        its weights are kept so: a lone casting would wait for them to be converted.
        """
        if not any(isinstance(module, nn.BatchNorm2d) for module in self.modules()):
            return self
        twin = copy.deepcopy(self).eval()
        for module in list(twin.modules()):
            _fold_children(module)
        if scoring_precision(self.device) == "int8" and self.largest_inputs.any():
            levels = preprocessing.level, preprocessing.black
            twin.whole_numbers = WholeNumberTrunk(twin.trunk, self.largest_inputs, *levels)
        if precision(self.device) == "bf16":
            twin.trunk.bfloat16()
        return twin.eval().to(memory_format=torch.channels_last)


def build(spec: NetworkSpec, weights: str, generator: torch.Generator) -> Network:
    """A network on its starting weights: `scratch`, `imagenet`, or a safetensors file.

    Args:
        spec: what to build.
        weights: `scratch` (He initialisation), `imagenet` (torchvision's, downloaded once and
            cached) or the path of a safetensors file with the trunk's tensors.
        generator: draws whatever is not loaded.

    Raises:
        DataError: the weights cannot be had or do not fit the backbone.
    """
    with torch.device("meta"):  # torchvision would draw from the global generator
        network = Network(spec)
    network = network.to_empty(device="cpu")
    _initialise(network, generator)
    if weights != "scratch":
        _load_trunk(network, _starting_weights(spec, weights), weights)
    return network.to(memory_format=torch.channels_last)


def _fold_children(module: nn.Module) -> None:
    """Fold each batch norm among the children into the convolution before it."""
    before = ("", nn.Module())
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(before[1], nn.Conv2d):
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        before = (name, child)


def precision(device: torch.device) -> str:
    """`bf16` where the device computes in it natively, else `fp32`."""
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else _has("avx512_bf16")
    return "bf16" if native else "fp32"


def scoring_precision(device: torch.device) -> str:
    """`int8` where trunks may be run in whole numbers with sums in bf16, else `precision`."""
    whole = device.type == "cpu" and _has("avx512_bf16") and _has("avx512_vnni")
    return "int8" if whole else precision(device)


def _has(instructions: str) -> bool:
    """Whether this processor has them."""
    return bool(torch.cpu.get_capabilities().get(instructions, False))


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """The context in which trunks are run on `device`."""
    if precision(device) == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def use_threads(count: int) -> None:
    """Let the calling thread compute with so many threads, whatever others do.

    Torch takes a thread's number from what the last caller anywhere has set, at the thread's first
    parallel operation; asking for it makes that happen before it is set.
    """
    torch.get_num_threads()
    torch.set_num_threads(count)


def best_device() -> torch.device:
    """CUDA when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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
    """Refuse starting weights that are neither known by name nor a file.

    Raises:
        DataError: they are not.
    """
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


def _load_trunk(network: Network, state: dict[str, Tensor], name: str) -> None:
    """Take the trunk's tensors; grey networks get the sum of a colour stem's channels.

    Raises:
        DataError: tensors are missing or of another shape.
    """
    trunk = {key.removeprefix("trunk."): value for key, value in state.items()}
    stem = trunk.get("conv1.weight")
    if stem is not None and network.spec.channels == 1 and stem.shape[1] != 1:
        trunk["conv1.weight"] = stem.sum(dim=1, keepdim=True)
    wanted = network.trunk.state_dict()
    unfit = [k for k, v in wanted.items() if k not in trunk or trunk[k].shape != v.shape]
    if unfit:
        raise DataError(
            f"{name}: {len(unfit)} of {len(wanted)} tensors of {network.spec.backbone} are "
            f"missing or of another shape, first {unfit[0]}; they are another network's weights"
        )
    network.trunk.load_state_dict({key: trunk[key] for key in wanted})
