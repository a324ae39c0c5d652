"""What can be known of castings before anybody has labelled one."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from models.images import Preprocessing, normalise
from models.network.spec import NetworkSpec
from models.network.weights import build

_SIDE = 16
_MINIBATCH = 64


def cold_features(
    pixels_N: Tensor, spec: NetworkSpec, weights: str, preprocessing: Preprocessing
) -> Tensor:
    """Features `[N, F]`, float32: of the starting weights where those have learnt something.

    Weights from scratch have not; there the casting itself is shrunk to 16 × 16 grey values, less
    their mean over castings, since what all castings share tells none from another.
    """
    if weights == "scratch":
        grey_N = pixels_N.float().mean(dim=1, keepdim=True) / 255
        small_N_F = adaptive_avg_pool2d(grey_N, _SIDE).flatten(1)
        return small_N_F - small_N_F.mean(dim=0)
    network = build(spec, weights, torch.Generator().manual_seed(0)).eval()
    with torch.inference_mode():
        chunks = [
            network.features(normalise(p, preprocessing)) for p in pixels_N.split(_MINIBATCH)
        ]
    return torch.cat(chunks)
