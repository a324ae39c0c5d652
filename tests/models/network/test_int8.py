"""The backbone in int8 beside the same backbone in fp32, and beside a restatement of it."""

import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.nn.functional import conv2d, max_pool2d

from jobs.datasets.synthetic.castings import draw_castings
from jobs.datasets.synthetic.spec import SyntheticSpec
from models import uncertainty
from models.images import Preprocessing, normalise
from models.network.device import scoring_precision
from models.network.int8 import _pooled, _to_bytes, convolutions, largest_inputs
from models.network.mc_dropout import pass_masks, posterior
from models.network.spec import NetworkSpec
from models.network.weights import build
from models.training.fit import fit
from models.training.recipe import Recipe

in_bytes = pytest.mark.skipif(
    scoring_precision(torch.device("cpu")) != "int8", reason="this processor does not"
)

HEADROOM = 1.5
LOOK = Preprocessing(64)


def lively(backbone, channels=1, seed=0):
    """A network whose batch norms have seen something."""
    generator = torch.Generator().manual_seed(seed)
    network = build(NetworkSpec(backbone, channels, 2), "scratch", generator).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return network.requires_grad_(requires_grad=False)


def images(count, channels=1, size=64, seed=1, levels=(0, 256)):
    generator = torch.Generator().manual_seed(seed)
    shape = count, channels, size, size
    return normalise(torch.randint(*levels, shape, generator=generator, dtype=torch.uint8), LOOK)


def observed(network, shown):
    network.observe_activations(shown)
    return network.for_inference(LOOK)


def bare(network, monkeypatch):
    """Features in fp32."""
    with monkeypatch.context() as context:
        context.setattr(torch.cpu, "get_capabilities", dict)
        return network.for_inference(LOOK).features


def off(found, expected):
    return float((found - expected).norm() / expected.norm())


# --- what it computes ---------------------------------------------------------------------------


@in_bytes
@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50"])
@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_fp32_but_for_rounding(backbone, channels, monkeypatch):
    network = lively(backbone, channels)
    shown = images(8, channels)
    twin = observed(network, shown)
    assert twin.precision == "int8"
    expected = bare(network, monkeypatch)(shown)
    assert 0 < off(twin.features(shown), expected) < 0.05
    assert twin.features(shown).dtype == torch.float32


def restated(backbone, given, largest_L):
    """The same arithmetic with numbers that happen to be whole, in float64."""
    scale_of = {
        c: float(m) * HEADROOM / 255
        for c, m in zip(convolutions(backbone), largest_L, strict=True)
    }

    def rounded(x, scale):
        return (x / scale).round().clamp(0, 255) * scale

    def integer(c, x):
        weight = c.weight.double()
        scale = weight.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
        return conv2d(x, (weight / scale).round() * scale, c.bias.double(), c.stride, c.padding)

    def convolve(c, x):
        return integer(c, rounded(x, scale_of[c]))

    levels = (given.double() / LOOK.level + LOOK.black).round().clamp(0, 255) - round(LOOK.black)
    x = backbone.maxpool(integer(backbone.conv1, levels * LOOK.level).relu())
    blocks = [b for n in (1, 2, 3, 4) for b in backbone.get_submodule(f"layer{n}")]
    for block in blocks:
        x = rounded(x, scale_of[block.conv1])
        y = convolve(block.conv2, convolve(block.conv1, x).relu())
        if block.downsample is not None or block is blocks[-1]:
            shortcut = x if block.downsample is None else convolve(block.downsample[0], x)
            x = (y + shortcut.bfloat16()).relu().bfloat16().double()
        else:
            x = (y + x).relu()
    return x.mean(dim=(2, 3))


@in_bytes
def test_it_is_this_arithmetic(monkeypatch):
    network = lively("resnet18")
    shown = images(8)
    twin = observed(network, shown)
    with monkeypatch.context() as context:
        context.setattr(torch.cpu, "get_capabilities", dict)
        folded = network.for_inference(LOOK).backbone
    expected = restated(folded, shown, network.largest_inputs)
    found, exact = twin.features(shown), bare(network, monkeypatch)(shown)
    assert off(found, expected) < 0.5 * off(found, exact)  # a rounding more makes others


@in_bytes
def test_what_it_is_given_stays_as_it_is():
    network = lively("resnet18")
    shown = images(4)
    twin = observed(network, shown)
    before = shown.clone()
    first = twin.features(shown)
    assert torch.equal(shown, before)
    assert torch.equal(twin.features(shown), first)


@in_bytes
def test_numbers_larger_than_any_before_are_kept_up_to_the_headroom(monkeypatch):
    network = lively("resnet18")
    twin = observed(network, images(8, levels=(51, 180)))
    harder = images(8, levels=(32, 199))  # 1.3 x the contrast
    assert off(twin.features(harder), bare(network, monkeypatch)(harder)) < 0.05
    assert torch.isfinite(twin.features(1e4 * harder)).all()


@in_bytes
def test_a_convolution_that_was_given_nothing_makes_no_nan():
    network = lively("resnet18")
    network.observe_activations(images(4))
    network.largest_inputs[3] = 0
    assert torch.isfinite(network.for_inference(LOOK).features(images(4))).all()


@in_bytes
def test_filters_of_nothing_make_no_nan():
    network = lively("resnet18")
    network.backbone.layer2[0].conv1.weight[5] = 0
    assert torch.isfinite(observed(network, images(4)).features(images(4))).all()


@pytest.mark.parametrize("size", [(7, 7), (8, 8), (1, 2), (2, 5)])
def test_bytes_are_pooled_as_numbers_are(size):
    x = torch.randint(0, 256, (3, 5, *size), generator=torch.Generator().manual_seed(0))
    pooled = _pooled(x.byte().contiguous(memory_format=torch.channels_last))
    assert torch.equal(pooled.float(), max_pool2d(x.float(), 3, 2, 1))
    assert pooled.is_contiguous(memory_format=torch.channels_last)


def test_pixels_are_the_bytes_that_they_were():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    for mean, std in ((0.45, 0.25), (0.485, 0.229), (0.5, 0.5), (0.0, 1.0)):
        look = Preprocessing(16, mean=mean, std=std)
        assert torch.equal(_to_bytes(normalise(levels, look), look.level, look.black), levels)


# --- when it is used ----------------------------------------------------------------------------


def test_a_network_that_saw_no_castings_is_not_run_in_int8():
    network = build(NetworkSpec("resnet18", 1, 2), "scratch", torch.Generator().manual_seed(0))
    assert not network.largest_inputs.any()
    assert network.eval().for_inference(LOOK).precision != "int8"


@pytest.mark.parametrize("capable", [{}, {"avx512_bf16": True}, {"avx512_vnni": True}])
def test_nor_is_one_on_a_processor_without_it(capable, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capable)
    twin = observed(lively("resnet18"), images(4))
    assert twin.precision == ("bf16" if "avx512_bf16" in capable else "fp32")


def test_the_largest_inputs_are_those_of_all_minibatches():
    network = lively("resnet18")
    some, others = images(4), 2 * images(4, seed=2)

    def largest(*shown):
        return largest_inputs(network.backbone, lambda: [network.features(part) for part in shown])

    both = largest(some, others)
    assert torch.equal(both, torch.maximum(largest(some), largest(others)))
    assert len(both) == 19


# --- what it does to a ranking ------------------------------------------------------------------


@in_bytes
@pytest.mark.slow
def test_a_trained_network_ranks_and_judges_castings_as_in_fp32(monkeypatch):
    look = Preprocessing(64)
    spec = SyntheticSpec(parts=260, shots=1, size=64, seed=0)
    drawn = list(draw_castings(spec))
    pixels = torch.stack([torch.from_numpy(c.image).reshape(1, 64, 64) for c in drawn])
    truth = torch.tensor([int(c.label != "ok") for c in drawn])
    known = slice(0, 60)
    network, _ = fit(
        pixels[known], truth[known], NetworkSpec("resnet18", 1, 2), look,
        recipe=Recipe(steps=60), weights="scratch", seed=0,
    )  # fmt: skip
    network.requires_grad_(requires_grad=False)
    assert network.largest_inputs.all()
    pool = normalise(pixels[60:], look)

    def ranked(features):
        probs = posterior(features(pool), *network.readout(), pass_masks(50, 512, 0.5, 0))
        return uncertainty.bald(probs), probs.mean(dim=1).argmax(dim=1)

    expected, judged = ranked(bare(network, monkeypatch))
    found, as_judged = ranked(network.for_inference(LOOK).features)
    assert spearmanr(expected, found).statistic >= 0.99
    assert (judged == as_judged).float().mean() >= 0.99
