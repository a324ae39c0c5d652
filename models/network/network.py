"""The network: backbones that are run once per casting, and linear heads behind dropout.

A casting's pooled stages depend on the backbone alone and are kept; features are those, as the
pool standardises them. Of one member, a pass drops features before the head. The passes of an
ensemble are its members' heads (Lakshminarayanan 2017), on one backbone or on one each; so
whatever reads a posterior does not know which kind it has.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.network.backbone import Backbone
from models.network.mc_dropout import pass_masks
from models.network.spec import NetworkSpec
from models.network.standardise import Standardisation

Heads = tuple[Tensor, Tensor]
"""Weight `[K, C, F]` and bias `[K, C]` of K passes, on the CPU."""


class Network(nn.Module):
    """Backbones, those `given` or new ones, the standardisation of each, and heads."""

    def __init__(self, spec: NetworkSpec, given: nn.ModuleList | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.backbones = given or nn.ModuleList(Backbone(spec) for _ in range(spec.backbones))
        own = self.backbone.pooled_count
        self.pooled_count = own * spec.backbones
        self.standardisations = nn.ModuleList(Standardisation(own) for _ in self.backbones)
        self.heads = nn.ModuleList(nn.Linear(own, spec.classes) for _ in range(spec.members))

    @classmethod
    def of_members(cls, members: Sequence["Network"]) -> "Network":
        """Networks of one member each as an ensemble in eval mode; one backbone is shared."""
        first = members[0].backbone
        shared = all(member.backbone is first for member in members)
        backbones = 1 if shared else len(members)
        with torch.device("meta"):
            spec = replace(members[0].spec, members=len(members), backbones=backbones)
            joined = cls(spec, nn.ModuleList([m.backbone for m in members[:backbones]]))
        joined.standardisations = nn.ModuleList(
            [member.standardisation for member in members[:backbones]]
        )
        joined.heads = nn.ModuleList([member.head for member in members])
        return joined.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[N, C]` of the first member without dropout, of normalised images."""
        logits: Tensor = self.head(self.standardisation(self.backbone(images)))
        return logits

    @property
    def backbone(self) -> Backbone:
        """The only backbone, or the first member's."""
        first = self.backbones[0]
        assert isinstance(first, Backbone)  # noqa: S101 -- for the type
        return first

    @property
    def standardisation(self) -> Standardisation:
        """Of `backbone`."""
        first = self.standardisations[0]
        assert isinstance(first, Standardisation)  # noqa: S101 -- for the type
        return first

    @property
    def head(self) -> nn.Linear:
        """The only head, or the first member's."""
        first = self.heads[0]
        assert isinstance(first, nn.Linear)  # noqa: S101 -- for the type
        return first

    def pooled(self, images: Tensor) -> Tensor:
        """Pooled stages of all backbones, float32 `[N, P]`, of normalised images."""
        return torch.cat([backbone(images) for backbone in self.backbones], dim=1)

    def features(self, pooled_N_P: Tensor) -> Tensor:
        """Features `[N, F]`, float32, of what `pooled` gave, wherever that lies."""
        device = self.standardisation.centre_F.device
        parts = pooled_N_P.to(device).tensor_split(len(self.backbones), dim=1)
        standardised = zip(self.standardisations, parts, strict=True)
        return torch.cat([standardise(part) for standardise, part in standardised], dim=1)

    @property
    def device(self) -> torch.device:
        """Where its backbones lie."""
        return self.backbone.device

    @property
    def precision(self) -> str:
        """`bf16` or `fp32`: what its backbones compute in."""
        return self.backbone.precision

    def plain_heads(self) -> Heads:
        """Those whose mean is the pass without dropout: the head, or all members'."""
        weight_K_C_F = torch.stack([h.weight.detach().cpu() for h in self.linear_heads()])
        bias_K_C = torch.stack([h.bias.detach().cpu() for h in self.linear_heads()])
        if self.spec.backbones == 1:
            return weight_K_C_F, bias_K_C
        blocks = torch.eye(len(weight_K_C_F)).reshape(len(weight_K_C_F), 1, -1, 1)
        return (blocks * weight_K_C_F.unsqueeze(2)).flatten(2), bias_K_C

    def pass_heads(self, passes: int, seed: int) -> Heads:
        """Those of K dropout passes; of an ensemble its members', whatever is asked for."""
        weight_K_C_F, bias_K_C = self.plain_heads()
        if self.spec.members > 1:
            return weight_K_C_F, bias_K_C
        masks_K_F = pass_masks(passes, weight_K_C_F.shape[2], self.spec.dropout, seed)
        return weight_K_C_F * masks_K_F.unsqueeze(1), bias_K_C.expand(passes, -1)

    def linear_heads(self) -> list[nn.Linear]:
        """Its heads, one per member."""
        return [head for head in self.heads if isinstance(head, nn.Linear)]

    def for_inference(self) -> "Network":
        """Its twin whose backbones answer sooner, which is neither trained nor saved."""
        twins = [b.for_inference() for b in self.backbones if isinstance(b, Backbone)]
        return self.on(nn.ModuleList(twins).eval())

    def with_heads(self, heads: Sequence[nn.Linear]) -> "Network":
        """The same backbones with other heads; nothing is copied."""
        twin = copy.copy(self)
        twin._modules = {**self._modules, "heads": nn.ModuleList(heads)}  # noqa: SLF001
        return twin

    def with_head(self, weight_C_F: Tensor, bias_C: Tensor) -> "Network":
        """The same backbone with one head of these numbers."""
        head = nn.Linear(weight_C_F.shape[1], len(bias_C), device="meta")
        head.load_state_dict({"weight": weight_C_F, "bias": bias_C}, assign=True)
        return self.with_heads([head])

    def on(self, backbones: nn.ModuleList) -> "Network":
        """The same heads on other backbones; nothing is copied."""
        twin = copy.copy(self)
        twin._modules = {**self._modules, "backbones": backbones}  # noqa: SLF001
        return twin
