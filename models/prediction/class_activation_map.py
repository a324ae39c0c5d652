"""Where on a casting the verdict comes from: a class activation map of the very same weights.

The head is linear on pooled stages, so the logit of a class is a sum over the cells of all stages
(Zhou 2016, section 2, for the mean alone). A channel's mean is shared out as its cells have it;
its maximum and its deviation by the cells' squared distances from the mean, which is what the
second is made of and what the first stands out by. Stages are brought to cells of `STRIDE`
pixels and added up; the mean of the map is the logit of the pass without dropout, exactly.
`benchmarks.explain` holds the maps against masks of defects.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.evaluation.operating_point import verdicts
from models.images import normalise
from models.network.backbone import Backbone
from models.network.network import Network
from models.network.spec import NetworkSpec
from models.network.standardise import Standardisation
from models.prediction.predictor import Predictor

STRIDE = 8  # pixels of the network's input between two cells of a map


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


def logit_maps(predictor: Predictor, pixels_N: Tensor) -> Tensor:
    """Logits of every cell, float32 `[N, C, H, W]`, divided by the temperature.

    The mean over the cells is the logit of the pass without dropout; of an ensemble both are the
    mean over its members.
    """
    network = predictor.network
    images = normalise(pixels_N, predictor.preprocessing).to(predictor.device)
    features_N_F = predictor.embed(pixels_N)
    with torch.inference_mode():
        weight_K_C_F, bias_K_C = network.plain_heads()
        weight_C_F, bias_C = weight_K_C_F.mean(dim=0), bias_K_C.mean(dim=0)
        logits_N_C = features_N_F @ weight_C_F.T + bias_C
        maps_N_C_H_W = torch.stack(_maps_of_backbones(network, images, weight_C_F)).sum(dim=0)
        missing_N_C = logits_N_C - maps_N_C_H_W.mean(dim=(2, 3))
    return (maps_N_C_H_W + missing_N_C[:, :, None, None]) / predictor.operating.temperature


def nearest_cells(count: int, size: int, stride: int = STRIDE) -> Tensor:
    """Index `[count]` of the cell nearest to each of `count` pixels along a side of a picture."""
    cells = -(-size // stride)
    place = (torch.arange(count) + 0.5) / count * size  # in pixels of the network's input
    return (place / stride + 0.5).long().clamp(max=cells - 1)


def _maps_of_backbones(network: Network, images: Tensor, weight_C_F: Tensor) -> list[Tensor]:
    """What each backbone's cells add to the logits, `[N, C, H, W]`, up to a constant per class."""
    weights = weight_C_F.tensor_split(len(network.backbones), dim=1)
    found = []
    for backbone, standardisation, weight in zip(
        network.backbones, network.standardisations, weights, strict=True
    ):
        assert isinstance(backbone, Backbone)  # noqa: S101 -- for the type
        assert isinstance(standardisation, Standardisation)  # noqa: S101 -- for the type
        on_pooled = standardisation.on_pooled(weight.to(standardisation.centre_F)).cpu()
        found.append(_map_of_backbone(network.spec, backbone, images, on_pooled))
    return found


def _map_of_backbone(
    spec: NetworkSpec, backbone: Backbone, images: Tensor, weight_C_P: Tensor
) -> Tensor:
    size = -(-images.shape[-1] // STRIDE)
    stages = [stage.float().cpu() for stage in backbone.maps(images)]
    widths = [stage.shape[1] for stage in stages for _ in spec.statistics]
    shares = iter(weight_C_P.split(widths, dim=1))
    maps = []
    for stage, stride in zip(stages, spec.strides, strict=True):
        spread = [_spread(stage, next(shares), statistic) for statistic in spec.statistics]
        maps.append(_at_stride(torch.stack(spread).sum(dim=0), stride, size))
    return torch.stack(maps).sum(dim=0)


def _spread(stage_N_F_H_W: Tensor, weight_C_F: Tensor, statistic: str) -> Tensor:
    """What a statistic of a stage adds to the logits, by cell, `[N, C, H, W]`; the mean counts."""
    cells = stage_N_F_H_W.flatten(2)
    if statistic != "mean":
        squared = (cells - cells.mean(dim=2, keepdim=True)).square()
        variance = squared.mean(dim=2, keepdim=True)
        whole = cells.amax(dim=2, keepdim=True) if statistic == "maximum" else variance.sqrt()
        cells = whole * squared / variance.clamp(min=1e-12)
    spread: Tensor = torch.einsum("cf,nfl->ncl", weight_C_F, cells)
    return spread.reshape(*spread.shape[:2], *stage_N_F_H_W.shape[2:])


def _at_stride(maps_N_C_H_W: Tensor, stride: int, size: int) -> Tensor:
    """Maps of cells that lie `stride` pixels apart, at `size` cells a side, `STRIDE` apart."""
    if stride < STRIDE:
        step = STRIDE // stride
        maps: Tensor = functional.avg_pool2d(
            maps_N_C_H_W, step + 1, step, step // 2, count_include_pad=False
        )
    else:
        times = stride // STRIDE
        sides = [times * (side - 1) + 1 for side in maps_N_C_H_W.shape[2:]]
        maps = functional.interpolate(maps_N_C_H_W, sides, mode="bilinear", align_corners=True)
        maps = functional.pad(maps, (0, times - 1, 0, times - 1), mode="replicate")
    return maps[..., :size, :size]
