"""The backbone in int8 beside the same backbone in fp32, and beside a restatement of it."""

import pytest
import torch
from scipy.stats import spearmanr
from torch.nn.functional import conv2d, max_pool2d

from jobs.datasets.synthetic.castings import draw_castings
from jobs.datasets.synthetic.spec import SyntheticSpec
from models import uncertainty
from models.images import Preprocessing, normalise
from models.network.backbone import build_stages
from models.network.device import scoring_precision
from models.network.int8 import _pooled, _to_bytes, convolutions, largest_inputs, runs_in_int8
from models.network.mc_dropout import posterior
from models.network.spec import NetworkSpec
from models.network.standardise import Standardisation
from models.network.start import read_start
from models.training.head import fit_head
from tests.models.network.networks import from_scratch, shaken

in_bytes = pytest.mark.skipif(
    scoring_precision(torch.device("cpu")) != "int8", reason="this processor does not"
)

HEADROOM = 1.5
LOOK = Preprocessing(64)
LEVEL, BLACK = LOOK.levels


def lively(name, channels=1, **others):
    """A backbone whose batch norms have seen something."""
    return shaken(from_scratch(NetworkSpec(name, channels, 2, **others))).backbone


def images(count, channels=1, size=64, seed=1, levels=(0, 256)):
    generator = torch.Generator().manual_seed(seed)
    shape = count, channels, size, size
    return normalise(torch.randint(*levels, shape, generator=generator, dtype=torch.uint8), LOOK)


def observed(backbone, shown):
    backbone.observe_activations(shown)
    return backbone.for_inference(LOOK)


class Bare:
    """A backbone's twin that is made and run in fp32."""

    def __init__(self, backbone, monkeypatch):
        self._monkeypatch = monkeypatch
        self.twin = self._in_fp32(lambda: backbone.for_inference(LOOK))

    def __call__(self, shown):
        return self._in_fp32(lambda: self.twin(shown))

    def maps(self, shown):
        return self._in_fp32(lambda: self.twin.maps(shown))

    def _in_fp32(self, work):
        with self._monkeypatch.context() as context:
            context.setattr(torch.cpu, "get_capabilities", dict)
            return work()


def off(found, expected):
    return float((found - expected).norm() / expected.norm())


# --- what it computes ---------------------------------------------------------------------------


@in_bytes
@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnext50_32x4d"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pooled_stages_are_those_of_fp32_but_for_rounding(name, channels, monkeypatch):
    backbone = lively(name, channels)
    shown = images(8, channels)
    twin = observed(backbone, shown)
    assert twin.precision == "int8"
    expected = Bare(backbone, monkeypatch)
    assert 0 < off(twin(shown), expected(shown)) < 0.05
    assert twin(shown).dtype == torch.float32
    for stage, wanted in zip(twin.maps(shown), expected.maps(shown), strict=True):
        assert off(stage, wanted) < 0.1


@in_bytes
@pytest.mark.parametrize("strides", [(32,), (8,), (8, 32)])
def test_the_stages_are_those_asked_for(strides, monkeypatch):
    backbone = lively("resnet18", strides=strides, statistics=("mean",))
    twin = observed(backbone, images(4))
    assert twin.precision == "int8"
    assert [64 // stage.shape[2] for stage in twin.maps(images(4))] == list(strides)
    assert off(twin(images(4)), Bare(backbone, monkeypatch)(images(4))) < 0.05


def restated(stages, given, largest_L):
    """The same arithmetic with numbers that happen to be whole, in float64."""
    scale_of = {
        c: float(m) * HEADROOM / 255 for c, m in zip(convolutions(stages), largest_L, strict=True)
    }

    def rounded(x, scale):
        return (x / scale).round().clamp(0, 255) * scale

    def integer(c, x):
        weight = c.weight.double()
        scale = weight.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
        return conv2d(x, (weight / scale).round() * scale, c.bias.double(), c.stride, c.padding)

    def convolve(c, x):
        return integer(c, rounded(x, scale_of[c]))

    levels = (given.double() / LEVEL + BLACK).round().clamp(0, 255) - round(BLACK)
    x = max_pool2d(integer(stages.conv1, levels * LEVEL).relu(), 3, 2, 1)
    blocks = [b for n in (1, 2, 3) for b in stages.get_submodule(f"layer{n}")]
    maps = []
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        x = rounded(x, scale_of[block.conv1])
        y = convolve(block.conv2, convolve(block.conv1, x).relu())
        if block.downsample is not None or after is None:
            shortcut = x if block.downsample is None else convolve(block.downsample[0], x)
            x = (y + shortcut.bfloat16()).relu().bfloat16().double()
        else:
            x = (y + x).relu()
        if block in {stages.layer1[-1], stages.layer2[-1], stages.layer3[-1]}:
            maps.append(x if after is None else rounded(x, scale_of[after.conv1]))
    return maps


@in_bytes
def test_it_is_this_arithmetic(monkeypatch):
    backbone = lively("resnet18")
    shown = images(8)
    twin, exact = observed(backbone, shown), Bare(backbone, monkeypatch)
    expected = restated(exact.twin.stages, shown, backbone.largest_inputs)
    for found, wanted, real in zip(twin.maps(shown), expected, exact.maps(shown), strict=True):
        assert off(found, wanted) < 0.5 * off(found, real)  # a rounding more makes others


@in_bytes
def test_what_it_is_given_stays_as_it_is():
    backbone = lively("resnet18")
    shown = images(4)
    twin = observed(backbone, shown)
    before = shown.clone()
    first = twin(shown)
    assert torch.equal(shown, before)
    assert torch.equal(twin(shown), first)


@in_bytes
def test_numbers_larger_than_any_before_are_kept_up_to_the_headroom(monkeypatch):
    backbone = lively("resnet18")
    twin = observed(backbone, images(8, levels=(51, 180)))
    harder = images(8, levels=(32, 199))  # 1.3 x the contrast
    assert off(twin(harder), Bare(backbone, monkeypatch)(harder)) < 0.05
    assert torch.isfinite(twin(1e4 * harder)).all()


@in_bytes
def test_a_convolution_that_was_given_nothing_makes_no_nan():
    backbone = lively("resnet18")
    backbone.observe_activations(images(4))
    backbone.largest_inputs[3] = 0
    assert torch.isfinite(backbone.for_inference(LOOK)(images(4))).all()


@in_bytes
def test_filters_of_nothing_make_no_nan():
    backbone = lively("resnet18")
    backbone.stages.layer2[0].conv1.weight[5] = 0
    assert torch.isfinite(observed(backbone, images(4))(images(4))).all()


@pytest.mark.parametrize("size", [(7, 7), (8, 8), (1, 2), (2, 5)])
def test_bytes_are_pooled_as_numbers_are(size):
    x = torch.randint(0, 256, (3, 5, *size), generator=torch.Generator().manual_seed(0))
    pooled = _pooled(x.byte().contiguous(memory_format=torch.channels_last))
    assert torch.equal(pooled.float(), max_pool2d(x.float(), 3, 2, 1))
    assert pooled.is_contiguous(memory_format=torch.channels_last)


def test_pixels_are_the_bytes_that_they_were():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    for mean, std in ((0.45, 0.25), (0.485, 0.229), (0.5, 0.5), (0.0, 1.0)):
        look = Preprocessing(16, mean=(mean,), std=(std,))
        assert torch.equal(_to_bytes(normalise(levels, look), *look.levels), levels)


# --- when it is used ----------------------------------------------------------------------------


def test_a_backbone_that_saw_no_castings_is_not_run_in_int8():
    backbone = from_scratch(NetworkSpec("resnet18", 1, 2)).backbone
    assert not backbone.largest_inputs.any()
    assert backbone.for_inference(LOOK).precision != "int8"


@in_bytes
def test_nor_is_one_whose_channels_are_normalised_apart():
    backbone = lively("resnet18", channels=3)
    backbone.observe_activations(images(4, 3))
    apart = Preprocessing(64, 3, mean=(0.5, 0.4, 0.4), std=(0.2,) * 3)
    assert backbone.for_inference(apart).precision == "bf16"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("resnet18", True),
        ("resnet50", True),
        ("resnext50_32x4d", True),
        ("resnet18d", False),  # a stem of three convolutions, and shortcuts that average first
        ("seresnet18", False),
        ("resnet50_gn", False),
        ("resnetblur18", False),
        ("regnetx_002", False),
        ("convnext_atto", False),
    ],
)
def test_only_plain_resnets_are_known(name, known):
    with torch.device("meta"):
        assert runs_in_int8(build_stages(name, 1, (4, 8, 16))) == known


@pytest.mark.parametrize("capable", [{}, {"avx512_bf16": True}, {"avx512_vnni": True}])
def test_nor_is_one_on_a_processor_without_it(capable, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capable)
    twin = observed(lively("resnet18"), images(4))
    assert twin.precision == ("bf16" if "avx512_bf16" in capable else "fp32")


def test_the_largest_inputs_are_those_of_all_minibatches():
    backbone = lively("resnet18")
    some, others = images(4), 2 * images(4, seed=2)

    def largest(*shown):
        return largest_inputs(backbone.stages, lambda: [backbone.maps(part) for part in shown])

    both = largest(some, others)
    assert torch.equal(both, torch.maximum(largest(some), largest(others)))
    assert len(both) == 14


# --- what it does to a ranking ------------------------------------------------------------------


@in_bytes
@pytest.mark.slow
def test_a_fitted_head_ranks_and_judges_castings_as_in_fp32(monkeypatch):
    spec = NetworkSpec("resnet18", 1, 2)
    start = read_start("surface", spec)
    look = start.preprocessing(64)
    parts = SyntheticSpec(parts=260, shots=1, size=64, seed=0)
    drawn = list(draw_castings(parts))
    pixels = torch.stack([torch.from_numpy(c.image).reshape(1, 64, 64) for c in drawn])
    truth = torch.tensor([int(c.label != "ok") for c in drawn])
    network, shown = start.network(spec), normalise(pixels, look)
    with torch.inference_mode():
        exact, rough = Bare(start.backbone, monkeypatch), start.backbone.for_inference(look)
        assert rough.precision == "int8"
        pooled = {twin: twin(shown) for twin in (exact, rough)}
        network.standardisations[0] = Standardisation.of(pooled[exact], range(260))
        weight, bias = fit_head(network.features(pooled[exact][:60]), truth[:60], 2)
    network.head.load_state_dict({"weight": weight, "bias": bias})

    def ranked(twin):
        features = network.features(pooled[twin][60:])
        probs = posterior(features, *network.pass_heads(50, 0))
        return uncertainty.bald(probs), probs.mean(dim=1).argmax(dim=1)

    (expected, judged), (found, as_judged) = ranked(exact), ranked(rough)
    assert spearmanr(expected, found).statistic >= 0.99
    assert (judged == as_judged).float().mean() >= 0.99
