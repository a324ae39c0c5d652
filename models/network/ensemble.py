"""A deep ensemble behind the interface of one network: its K passes are its members.

Members share nothing but the castings they were trained on (Lakshminarayanan 2017). The features
of a casting are those of all members, one after the other, each with a 1 for its bias; pass k
masks all but member k. So whatever reads a posterior does not know which kind it has.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.images import Preprocessing
from models.network.network import Network
from models.network.spec import NetworkSpec


class Ensemble(nn.Module):
    """`spec.members` networks side by side."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        members = [Network(replace(spec, members=1)) for _ in range(spec.members)]
        self.members = nn.ModuleList(members)
        self.feature_count = spec.members * (members[0].feature_count + 1)

    @classmethod
    def of(cls, members: Sequence[Network]) -> "Ensemble":
        """Networks that are trained already, as an ensemble in eval mode."""
        with torch.device("meta"):
            ensemble = cls(replace(members[0].spec, members=len(members)))
        ensemble.members = nn.ModuleList(members)
        return ensemble.eval()

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.networks()[0].device

    def features(self, images: Tensor) -> Tensor:
        """Features of all members, each with its 1, float32 `[N, K·(F+1)]`."""
        parts = [nn.functional.pad(m.features(images), (0, 1), value=1.0) for m in self.networks()]
        return torch.cat(parts, dim=1)

    def readout(self) -> tuple[Tensor, Tensor]:
        """Weight `[C, K·(F+1)]` and bias `[C]` of the last layer, on the CPU; the bias is 0."""
        heads = [network.readout() for network in self.networks()]
        weight = torch.cat([torch.cat([w, b.unsqueeze(1)], dim=1) for w, b in heads], dim=1)
        return weight, torch.zeros(len(weight))

    def pass_masks(self, passes: int, seed: int) -> Tensor:  # noqa: ARG002 -- as many as members
        """One mask per member, `[K, K·(F+1)]`, whatever the client asks for."""
        return self.plain_masks()

    def plain_masks(self) -> Tensor:
        """The pass without dropout is the mean of the members, so these are theirs."""
        count = self.spec.members
        return torch.eye(count).repeat_interleave(self.feature_count // count, dim=1)

    @property
    def precision(self) -> str:
        """What its members compute in."""
        return self.networks()[0].precision

    def for_inference(self, preprocessing: Preprocessing) -> "Ensemble":
        """Its twin whose members answer sooner."""
        return Ensemble.of([network.for_inference(preprocessing) for network in self.networks()])

    def networks(self) -> list[Network]:
        """Its members."""
        return [member for member in self.members if isinstance(member, Network)]


def blank(spec: NetworkSpec) -> "Network | Ensemble":
    """The network of a spec, without weights."""
    return Network(spec) if spec.members == 1 else Ensemble(spec)
