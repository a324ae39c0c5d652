"""The network: a backbone that is run once per casting, and a linear head behind dropout.

The backbone maps images to features `[N, F]`; the head is one matrix, kept apart because K dropout
passes differ only there (`models.network.mc_dropout`).
"""

import copy
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from models.images import Preprocessing
from models.network.backbone import build_backbone, fold_batch_norms
from models.network.device import autocast, precision, scoring_precision
from models.network.int8 import Int8Backbone, convolutions, largest_inputs
from models.network.mc_dropout import pass_masks
from models.network.spec import NetworkSpec


class Network(nn.Module):
    """Backbone and head; `forward` gives the logits `[N, C]` of the pass without dropout.

    `int8` runs the backbone, in a twin `for_inference` that can.
    """

    largest_inputs: Tensor  # of convolutions, at most, float32 `[L]`; 0 until observed

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        backbone = build_backbone(spec.backbone, spec.channels)
        self.feature_count = backbone.fc.in_features
        backbone.fc = nn.Identity()
        self.backbone = backbone
        self.head = nn.Linear(self.feature_count, spec.classes)
        self.register_buffer("largest_inputs", torch.zeros(len(convolutions(backbone))))
        self.int8: Int8Backbone | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[N, C]` of normalised images `[N, channels, size, size]`."""
        logits: Tensor = self.head(self.features(images))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """Backbone output, float32 `[N, F]`."""
        images = images.contiguous(memory_format=torch.channels_last)
        dtype = self.backbone.conv1.weight.dtype
        if self.int8 is not None:
            return self.int8(images)
        mixed = dtype == torch.float32  # a twin `for_inference` may be bf16 throughout
        with autocast(images.device) if mixed else nullcontext():
            features: Tensor = self.backbone(images.to(dtype))
        return features.float()

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.head.weight.device

    @property
    def precision(self) -> str:
        """`int8`, `bf16` or `fp32`: what the backbone computes in."""
        return precision(self.device) if self.int8 is None else "int8"

    @torch.no_grad()
    def observe_activations(self, images: Tensor) -> None:
        """Note how large the inputs of convolutions get on normalised castings, in eval mode."""
        self.largest_inputs.copy_(largest_inputs(self.backbone, lambda: self.features(images)))

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

        Batch norms are folded into their convolutions. Then the backbone is run in int8, where its
        activations were observed and the processor is made for bytes. Where it is run in bf16 its
        weights are kept so: a lone casting would wait for them to be converted.
        """
        if not any(isinstance(module, nn.BatchNorm2d) for module in self.modules()):
            return self
        twin = copy.deepcopy(self).eval()
        for module in list(twin.modules()):
            fold_batch_norms(module)
        if scoring_precision(self.device) == "int8" and self.largest_inputs.any():
            levels = preprocessing.level, preprocessing.black
            twin.int8 = Int8Backbone(twin.backbone, self.largest_inputs, *levels)
        if precision(self.device) == "bf16":
            twin.backbone.bfloat16()
        return twin.eval().to(memory_format=torch.channels_last)
