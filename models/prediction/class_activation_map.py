"""Where on a casting the verdict comes from: a class activation map of the very same weights.

The head is linear behind a global average pool, so the logit of a class is the mean, over the
cells of the backbone's last map, of what the head makes of each cell (Zhou 2016, section 2).
Nothing is approximated: a cell's value is the logit that a casting made of such cells alone would
get.

The backbone's own map is coarse, 4 x 4 for 128 pixels. Its last stage is therefore computed
without its stride, with filters spread apart instead (Yu & Koltun 2016). That lays three more
grids of cells between those of the backbone's own, which stay as they are: each is what the
network makes of the casting moved by some pixels. It was never trained to average over those, so
they are levelled to the mean of its own grid: the mean of the map is the verdict's logit again.
`benchmarks.explain` holds the maps against masks of defects.
"""

import copy
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torchvision.models import ResNet

from models.evaluation.operating_point import verdicts
from models.images import normalise
from models.network.device import autocast
from models.network.ensemble import Ensemble
from models.network.network import Network
from models.prediction.predictor import Predictor

OWN_STRIDE = 32  # pixels of the input between two cells of the backbone's own map
DILATED = (4,)  # the stages without stride: each halves the way to the next cell
STRIDE = OWN_STRIDE >> len(DILATED)


@dataclass(frozen=True)
class Explanation:
    """What a casting's map says, and about which classes.

    The log odds are those of `speaks_for` against `against` in each cell, at the model's
    temperature; above 0 a cell speaks for it. Cell i lies at pixel `STRIDE` * i of the network's
    input, not in the middle of its share of it.
    """

    log_odds_HW: Tensor
    label: str  # the verdict
    speaks_for: str  # the verdict of a rejected casting; of a passed one, its likeliest defect
    against: str  # the good class, or where there is none the second likeliest
    probability: float  # P(defect), or where there is no good class P(label)
    peak: tuple[float, float]  # x and y of the highest cell in 0..1 of the upright photograph


def explain(predictor: Predictor, pixels: Tensor) -> Explanation:
    """The explanation of one casting, uint8 `[channels, size, size]`."""
    features_1_F = predictor.embed(pixels.unsqueeze(0))
    probs_1_C = predictor.deterministic(features_1_F)
    good = predictor.good
    label = int(verdicts(probs_1_C, good, predictor.operating.threshold)[0])
    order = probs_1_C[0].argsort(descending=True, stable=True).tolist()
    if good is None:
        against, speaks_for = order[1], label
        probability = float(probs_1_C[0, label])
    else:
        against, speaks_for = good, next(c for c in order if c != good)
        probability = float(1 - probs_1_C[0, good])
    maps_C_H_W = logit_maps(predictor, pixels.unsqueeze(0))[0]
    maps_C_H_W += (_logits(predictor, features_1_F)[0] - maps_C_H_W.mean((1, 2)))[:, None, None]
    log_odds_HW = maps_C_H_W[speaks_for] - maps_C_H_W[against]
    row, column = divmod(int(log_odds_HW.argmax()), log_odds_HW.shape[1])
    size = predictor.preprocessing.size
    names = predictor.classes
    return Explanation(
        log_odds_HW,
        label=names[label],
        speaks_for=names[speaks_for],
        against=names[against],
        probability=probability,
        peak=((column * STRIDE + 0.5) / size, (row * STRIDE + 0.5) / size),
    )


def logit_maps(
    predictor: Predictor, pixels_N: Tensor, dilated: tuple[int, ...] = DILATED
) -> Tensor:
    """Logits of every cell, float32 `[N, C, H, W]`, divided by the temperature.

    The mean over the cells is the logit of the pass without dropout; of an ensemble the map is the
    mean over its members. The last stages, `dilated`, are computed without their strides.
    """
    network = predictor.network
    members = network.networks() if isinstance(network, Ensemble) else [network]
    images = normalise(pixels_N, predictor.preprocessing).to(predictor.device)
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        maps = [_member_maps(member, images, dilated) for member in members]
    return torch.stack(maps).mean(dim=0) / predictor.operating.temperature


def _logits(predictor: Predictor, features_N_F: Tensor) -> Tensor:
    """Logits `[N, C]` that verdicts rest on, which maps in another precision miss by a little."""
    weight_C_F, bias_C = predictor.network.readout()
    members = predictor.network.spec.members  # whose logits the product adds up
    logits_N_C = (features_N_F @ weight_C_F.T + bias_C) / members
    return logits_N_C / predictor.operating.temperature


def nearest_cells(count: int, size: int, stride: int = STRIDE) -> Tensor:
    """Index `[count]` of the cell nearest to each of `count` pixels along a side of a picture."""
    cells = -(-size // stride)
    place = (torch.arange(count) + 0.5) / count * size  # in pixels of the network's input
    return (place / stride + 0.5).long().clamp(max=cells - 1)


def _member_maps(network: Network, images: Tensor, dilated: tuple[int, ...]) -> Tensor:
    backbone = undecimated(network.backbone, dilated)
    with autocast(images.device):
        x = backbone.maxpool(backbone.relu(backbone.bn1(backbone.conv1(images))))
        features = backbone.layer4(backbone.layer3(backbone.layer2(backbone.layer1(x))))
    weight_C_F, bias_C = network.readout()
    maps_N_C_H_W = torch.einsum("cf,nfhw->nchw", weight_C_F, features.float().cpu())
    return levelled(maps_N_C_H_W + bias_C.reshape(-1, 1, 1), 1 << len(dilated))


def levelled(maps_N_C_H_W: Tensor, grids: int) -> Tensor:
    """Maps whose interleaved grids, `grids` each way, all have the mean of the first."""
    maps_N_C_H_W = maps_N_C_H_W.clone()
    wanted = maps_N_C_H_W[..., ::grids, ::grids].mean(dim=(-2, -1), keepdim=True)
    for row, column in product(range(grids), repeat=2):
        grid = maps_N_C_H_W[..., row::grids, column::grids]
        grid += wanted - grid.mean(dim=(-2, -1), keepdim=True)
    return maps_N_C_H_W


def undecimated(backbone: ResNet, stages: tuple[int, ...]) -> ResNet:
    """A backbone on the same tensors whose stages keep the resolution that they are given.

    A filter that stood after a stride reaches as far over the photograph as before.
    """
    tensors = {id(tensor): tensor for tensor in [*backbone.parameters(), *backbone.buffers()]}
    twin = copy.deepcopy(backbone, tensors)  # the modules are copied, the tensors shared
    spread = 1
    for stage in stages:
        for module in twin.get_submodule(f"layer{stage}").modules():
            if isinstance(module, nn.Conv2d):
                after = spread if module.stride != (1, 1) else 2 * spread
                reach = module.kernel_size[0] // 2 * after
                module.stride, module.dilation = (1, 1), (after, after)
                module.padding = (reach, reach)
        spread *= 2
    return twin
