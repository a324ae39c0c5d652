from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models as zoo

from models.errors import DataError
from models.images import Preprocessing
from models.network.backbone import BACKBONES
from models.network.device import autocast, best_device, precision
from models.network.network import Network
from models.network.spec import NetworkSpec
from models.network.weights import build

GREY = NetworkSpec("resnet18", 1, 2)
COLOUR = NetworkSpec("resnet18", 3, 2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def some_images(channels, count=2, size=32):
    return torch.rand(count, channels, size, size, generator=seeded(5))


@pytest.fixture(scope="module")
def colour_weights():
    """What a download of torchvision's ResNet-18 would give, but for the values."""
    with torch.random.fork_rng():
        return zoo.resnet18(weights=None).state_dict()


@pytest.fixture
def download(monkeypatch, colour_weights):
    """Torchvision's download as a function that gives, or raises, what it is told to."""

    def answer(outcome=colour_weights):
        def fetch(*_, **__):
            if isinstance(outcome, Exception):
                raise outcome
            return dict(outcome)

        monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)

    return answer


# --- building -----------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_gives_logits_for_grey_and_colour(backbone, channels):
    network = build(NetworkSpec(backbone, channels, 4), "scratch", seeded()).eval()
    with torch.no_grad():
        features = network.features(some_images(channels))
        logits = network(some_images(channels))
    assert features.shape == (2, network.feature_count)
    assert features.dtype == torch.float32
    assert logits.shape == (2, 4)
    assert torch.isfinite(logits).all()


def test_an_unknown_backbone_is_refused_with_the_list():
    with pytest.raises(DataError, match="'vgg'; there are resnet18, resnet34, resnet50"):
        Network(NetworkSpec("vgg", 1, 2))


def test_starting_from_scratch_follows_from_the_generator():
    first, again = (build(GREY, "scratch", seeded(3)).state_dict() for _ in range(2))
    other = build(GREY, "scratch", seeded(4)).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["backbone.conv1.weight"], other["backbone.conv1.weight"])
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_every_tensor_is_set_none_left_as_memory_was():
    state = build(GREY, "scratch", seeded()).state_dict()
    for key, value in state.items():
        assert value.device.type == "cpu", key
        assert torch.isfinite(value).all(), key
        if key.endswith(("running_mean", "num_batches_tracked")):
            assert (value == 0).all(), key
        if key.endswith(("running_var", "bn1.weight")):
            assert (value == 1).all(), key


def test_filters_have_the_spread_of_he_initialisation():
    weight = build(GREY, "scratch", seeded()).backbone.layer4[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


def test_building_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    build(GREY, "scratch", seeded())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.usefixtures("in_fp32")
def test_trunk_and_head_are_torchvisions_network():
    ours = build(COLOUR, "scratch", seeded()).eval()
    theirs = zoo.resnet18(weights=None, num_classes=2)
    state = ours.backbone.state_dict() | {f"fc.{k}": v for k, v in ours.head.state_dict().items()}
    theirs.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(some_images(3)), theirs.eval()(some_images(3)), atol=1e-4, rtol=1e-4
        )


# --- starting weights ---------------------------------------------------------------------------


def test_imagenet_weights_are_taken_as_they_are_by_a_colour_network(download, colour_weights):
    download()
    network = build(COLOUR, "imagenet", seeded())
    for key, value in network.backbone.state_dict().items():
        assert torch.equal(value, colour_weights[key]), key


def test_a_grey_stem_is_the_sum_of_the_colour_stem(download, colour_weights):
    download()
    stem = build(GREY, "imagenet", seeded()).backbone.conv1.weight
    summed = colour_weights["conv1.weight"].sum(dim=1, keepdim=True)
    torch.testing.assert_close(stem.detach(), summed)


@pytest.mark.usefixtures("in_fp32")
def test_a_grey_network_sees_in_a_grey_image_what_the_colour_one_does(download):
    download()
    grey, colour = (build(spec, "imagenet", seeded()).eval() for spec in (GREY, COLOUR))
    images = some_images(1)
    with torch.no_grad():
        seen, wanted = grey.features(images), colour.features(images.expand(-1, 3, -1, -1))
    torch.testing.assert_close(seen, wanted, atol=1e-4, rtol=1e-3)


def test_the_head_is_still_drawn_from_the_generator(download):
    download()
    heads = [build(GREY, "imagenet", seeded(seed)).head.weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


@pytest.mark.parametrize(
    "failure",
    [
        URLError("no route to host"),
        ConnectionResetError("peer"),
        RuntimeError('invalid hash value (expected "f37072fd", got "00000000")'),
    ],
    ids=["no network", "broken off", "damaged on the way"],
)
def test_a_download_that_fails_names_the_ways_out(download, failure):
    download(failure)
    with pytest.raises(DataError, match=r"resnet18 .*--weights scratch, or --weights PATH"):
        build(GREY, "imagenet", seeded())


def test_a_safetensors_file_gives_the_trunk(tmp_path, colour_weights):
    save_file(colour_weights, tmp_path / "own.safetensors")
    network = build(COLOUR, str(tmp_path / "own.safetensors"), seeded())
    assert torch.equal(
        network.backbone.layer1[0].conv1.weight, colour_weights["layer1.0.conv1.weight"]
    )


def test_the_weights_of_a_model_version_are_such_a_file(tmp_path):
    earlier = build(GREY, "scratch", seeded(1))
    save_file({k: v.contiguous() for k, v in earlier.state_dict().items()}, tmp_path / "w")
    later = build(GREY, str(tmp_path / "w"), seeded(2))
    assert torch.equal(later.backbone.conv1.weight, earlier.backbone.conv1.weight)
    assert not torch.equal(later.head.weight, earlier.head.weight)


def test_weights_of_another_network_are_refused_with_how_many_do_not_fit(tmp_path):
    save_file({"conv1.weight": torch.zeros(64, 1, 7, 7)}, tmp_path / "w")
    with pytest.raises(DataError, match=r"119 of 120 tensors of resnet18 .*another network"):
        build(GREY, str(tmp_path / "w"), seeded())


def test_grey_weights_are_refused_by_a_colour_network(tmp_path):
    grey = build(GREY, "scratch", seeded())
    save_file({k: v.contiguous() for k, v in grey.state_dict().items()}, tmp_path / "w")
    with pytest.raises(DataError, match=r"first conv1.weight"):
        build(COLOUR, str(tmp_path / "w"), seeded())


@pytest.mark.parametrize("content", [None, b"", b"this is no safetensors file", bytes(64)])
def test_a_file_that_is_not_there_or_holds_no_tensors_is_refused_by_name(tmp_path, content):
    if content is not None:
        (tmp_path / "w").write_bytes(content)
    with pytest.raises(DataError, match=str(tmp_path / "w")):
        build(GREY, str(tmp_path / "w"), seeded())


# --- precision ----------------------------------------------------------------------------------


def test_the_trunk_runs_in_bf16_where_the_processor_has_it(monkeypatch):
    cpu = torch.device("cpu")
    for native, name in ((True, "bf16"), (False, "fp32")):
        capable = {"avx512_bf16": native}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda capable=capable: capable)
        assert precision(cpu) == name
        with autocast(cpu):
            product = nn.functional.linear(torch.ones(1, 2), torch.ones(1, 2))
        assert product.dtype == (torch.bfloat16 if native else torch.float32)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize("native", [True, False])
def test_the_twin_for_inference_gives_the_same_features_without_a_batch_norm(
    backbone, native, monkeypatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    generator = torch.Generator().manual_seed(0)
    network = build(NetworkSpec(backbone, 1, 2), "scratch", generator).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    images = torch.randn(4, 1, 64, 64, generator=generator)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.inference_mode():
        expected = network.features(images)
        found = network.for_inference(Preprocessing()).features(images)
    difference = (found - expected).norm() / expected.norm()
    assert difference < (0.02 if native else 1e-5)
    twin = network.for_inference(Preprocessing())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in twin.modules())
    assert twin.head.weight.dtype == torch.float32
    torch.testing.assert_close(dict(network.state_dict()), before)


def test_without_cuda_the_best_device_is_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert best_device() == torch.device("cpu")
