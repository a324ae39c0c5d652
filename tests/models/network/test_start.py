from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models as zoo

from models.errors import DataError
from models.network.spec import NetworkSpec
from models.network.weights import build, check_weights

GREY = NetworkSpec("resnet18", 1, 2)
COLOUR = NetworkSpec("resnet18", 3, 2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_images(channels, count=2, size=32):
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
    images = random_images(1)
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


@pytest.mark.parametrize("prefix", ["", "backbone.", "trunk."])
def test_a_safetensors_file_gives_the_backbone_whatever_its_tensors_are_prefixed_with(
    tmp_path, colour_weights, prefix
):
    save_file({f"{prefix}{k}": v for k, v in colour_weights.items()}, tmp_path / "w.safetensors")
    network = build(COLOUR, str(tmp_path / "w.safetensors"), seeded())
    for key, value in network.backbone.state_dict().items():
        assert torch.equal(value, colour_weights[key]), key


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


@pytest.mark.parametrize("weights", ["imagenets", "no/such/file.safetensors", "."])
def test_weights_that_are_neither_a_name_nor_a_file_are_refused_with_what_there_is(weights):
    with pytest.raises(DataError, match="no such file; give scratch, imagenet, or a safetensors"):
        check_weights(weights)
