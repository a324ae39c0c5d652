import json
from dataclasses import replace
from urllib.error import URLError

import pytest
import timm
import torch
from safetensors.torch import save_file

from models.errors import DataError
from models.images import normalise
from models.network.spec import NetworkSpec
from models.network.start import SURFACE, check_weights, header, read_start, timm_tags
from tests.models.network.networks import seeded, shaken

GREY = NetworkSpec("resnet18", 1, 2)
COLOUR = NetworkSpec("resnet18", 3, 2)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def random_pixels(channels, count=2, size=32):
    shape = count, channels, size, size
    return torch.randint(0, 256, shape, generator=seeded(5), dtype=torch.uint8)


def of_timm(name):
    """A network of timm with weights of its own, as a download gives it but for the values."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(1)
        whole = timm.create_model(name).eval()
    whole.pretrained_cfg = {"mean": MEAN, "std": DEVIATION}
    return shaken(whole)


@pytest.fixture(scope="module")
def colour():
    return of_timm("resnet18")


@pytest.fixture
def download(monkeypatch, colour):
    """Timm's download as a function that gives, or raises, what it is told to."""
    create = timm.create_model

    def answer(outcome=colour):
        asked = []

        def fetch(name, *, pretrained=False, **options):
            if not pretrained:
                return create(name, **options)
            asked.append(name)
            torch.rand(1)  # timm draws before it loads
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(timm, "create_model", fetch)
        return asked

    return answer


def write_file(path, tensors, **notes):
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, notes or None)
    return str(path)


def pooled(start, pixels):
    with torch.inference_mode():
        return start.backbone(normalise(pixels, start.preprocessing(32)))


# --- scratch ------------------------------------------------------------------------------------


def test_starting_from_scratch_follows_from_the_seed():
    first, again, other = (read_start("scratch", GREY, seed) for seed in (3, 3, 4))
    assert first.sha256 == again.sha256 != other.sha256
    assert (first.mean, first.std) == ((0.45,), (0.25,))
    assert read_start("scratch", COLOUR).mean == (0.45,) * 3


def test_every_tensor_is_set_none_left_as_memory_was():
    start = read_start("scratch", GREY)
    for key, value in start.backbone.state_dict().items():
        assert value.device.type == "cpu", key
        assert torch.isfinite(value).all(), key
        if key.endswith(("running_mean", "num_batches_tracked")):
            assert (value == 0).all(), key
        if key.endswith(("running_var", "bn1.weight")):
            assert (value == 1).all(), key


@pytest.mark.parametrize("name", ["convnext_atto", "mobilenetv3_small_050", "densenet121"])
def test_every_tensor_of_other_families_is_set_too(name):
    spec = NetworkSpec(name, 1, 2)
    first, again = (read_start("scratch", spec, 1) for _ in range(2))
    assert first.sha256 == again.sha256
    assert torch.isfinite(pooled(first, random_pixels(1))).all()


def test_filters_have_the_spread_of_he_initialisation():
    weight = read_start("scratch", GREY).backbone.stages.layer3[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)


@pytest.mark.parametrize("weights", ["scratch", "surface", "imagenet"])
def test_reading_a_start_leaves_the_global_generator_alone(weights, download):
    download()
    before = torch.get_rng_state()
    read_start(weights, GREY)
    assert torch.equal(torch.get_rng_state(), before)


# --- surface ------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [GREY, COLOUR])
def test_the_start_that_is_shipped_opens_for_grey_and_colour(spec):
    start = read_start("surface", spec)
    assert start.sha256 == read_start("surface", spec, seed=9).sha256
    assert len(start.mean) == len(start.std) == spec.channels
    assert 0.4 < start.mean[0] < 0.5 < 2.5 * start.std[0] < 0.7
    assert not start.backbone.training
    assert pooled(start, random_pixels(spec.channels)).std(dim=0).max() > 0


def test_the_file_that_is_shipped_says_how_pixels_are_normalised():
    notes = header(SURFACE)
    assert set(notes) == {"mean", "std"}
    assert all(isinstance(json.loads(value), float | list) for value in notes.values())


def test_a_start_gives_a_network_around_its_very_backbone_with_a_head_of_0():
    start = read_start("surface", GREY)
    network = start.network(replace(GREY, members=5, backbones=5, classes=3))
    assert network.backbone is start.backbone
    assert (network.spec.members, network.spec.backbones) == (1, 1)
    assert not network.head.weight.any()
    assert network.head.bias.tolist() == [0, 0, 0]
    assert not any(module.training for module in network.modules())
    seen = start.backbone(torch.rand(2, 1, 32, 32, generator=seeded()))
    assert torch.equal(network.features(seen), seen)  # nothing is standardised yet


# --- of timm ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ("imagenet", "resnet18"),
        ("a1_in1k", "resnet18.a1_in1k"),
        ("resnet18.a1_in1k", "resnet18.a1_in1k"),
    ],
)
def test_weights_of_timm_are_taken_as_they_are_by_a_colour_network(
    download, colour, weights, name
):
    asked = download()
    start = read_start(weights, COLOUR)
    assert asked == [name]
    assert (start.mean, start.std) == (MEAN, DEVIATION)
    tensors = colour.state_dict()
    for key, value in start.backbone.stages.state_dict().items():
        assert torch.equal(value, tensors[key]) or key.endswith("num_batches_tracked"), key


@pytest.mark.usefixtures("in_fp32")
@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
def test_a_grey_network_sees_in_a_grey_image_what_the_colour_one_does(download, name):
    download(of_timm(name))
    grey, colour = (read_start("imagenet", NetworkSpec(name, c, 2)) for c in (1, 3))
    assert grey.mean == (pytest.approx(sum(MEAN) / 3),)
    pixels = random_pixels(1, size=64)
    images = [normalise(pixels, grey.preprocessing(64)),
              normalise(pixels.expand(-1, 3, -1, -1), colour.preprocessing(64))]  # fmt: skip
    with torch.no_grad():
        (seen, *_), (wanted, *_) = (
            s.backbone.maps(i) for s, i in zip((grey, colour), images, strict=True)
        )
    inside = (..., slice(6, -6), slice(6, -6))  # at the edges a little is left of the padding
    torch.testing.assert_close(seen[inside], wanted[inside], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "failure",
    [URLError("no route to host"), ConnectionResetError("peer"), RuntimeError("invalid hash")],
    ids=["no network", "broken off", "damaged on the way"],
)
def test_a_download_that_fails_names_the_ways_out(download, failure):
    download(failure)
    with pytest.raises(DataError, match=r"resnet18 .*use --weights surface, scratch, or PATH"):
        read_start("imagenet", GREY)


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "backbone.", "trunk.", "backbones.0.stages."])
def test_a_file_gives_the_backbone_whatever_its_tensors_are_prefixed_with(
    tmp_path, colour, prefix
):
    tensors = {f"{prefix}{k}": v for k, v in colour.state_dict().items()}
    start = read_start(write_file(tmp_path / "w", tensors), COLOUR)
    for key, value in start.backbone.stages.state_dict().items():
        assert torch.equal(value, tensors[prefix + key]) or "num_batches" in key, key


@pytest.mark.parametrize("name", ["convnext_atto", "densenet121"])
def test_a_file_of_timm_fits_families_whose_stages_timm_renames(tmp_path, name):
    whole = of_timm(name)
    start = read_start(write_file(tmp_path / "w", whole.state_dict()), NetworkSpec(name, 3, 2))
    some = next(p for n, p in whole.named_parameters() if n.startswith(("stages.1", "features.")))
    assert any(torch.equal(some, p) for p in start.backbone.parameters() if p.shape == some.shape)


def test_the_backbone_of_a_model_version_is_such_a_file(tmp_path):
    earlier = read_start("surface", GREY).network(GREY)
    tensors = {k: v for k, v in earlier.state_dict().items() if k.startswith("backbones.")}
    later = read_start(write_file(tmp_path / "w", tensors), GREY)
    assert later.sha256 == earlier.backbone.digest()


def test_a_file_says_how_pixels_are_normalised_or_is_taken_to_mean_the_usual(tmp_path, colour):
    tensors = colour.state_dict()
    plain = read_start(write_file(tmp_path / "a", tensors), GREY)
    assert (plain.mean, plain.std) == ((0.45,), (0.25,))
    noted = write_file(tmp_path / "b", tensors, mean="0.5", std=json.dumps(DEVIATION))
    assert read_start(noted, COLOUR).mean == (0.5, 0.5, 0.5)
    assert read_start(noted, COLOUR).std == DEVIATION


def test_weights_of_another_network_are_refused_with_how_many_do_not_fit(tmp_path):
    file = write_file(tmp_path / "w", {"conv1.weight": torch.zeros(64, 1, 7, 7)})
    with pytest.raises(DataError, match=r"74 of 75 tensors of resnet18 .*another network"):
        read_start(file, GREY)


def test_grey_weights_are_refused_by_a_colour_network(tmp_path):
    grey = read_start("scratch", GREY).backbone.stages.state_dict()
    with pytest.raises(DataError, match=r"first conv1.weight"):
        read_start(write_file(tmp_path / "w", grey), COLOUR)


@pytest.mark.parametrize("content", [None, b"", b"this is no safetensors file", bytes(64)])
def test_a_file_that_is_not_there_or_holds_no_tensors_is_refused_by_name(tmp_path, content):
    if content is not None:
        (tmp_path / "w").write_bytes(content)
    with pytest.raises(DataError, match=str(tmp_path / "w")):
        read_start(str(tmp_path / "w"), GREY)


@pytest.mark.parametrize(
    "notes", [{"mean": "half"}, {"std": '{"a": 1}'}, {"std": '["x"]'}, {"std": "[1, 2]"}]
)
def test_a_file_whose_notes_are_no_numbers_is_refused_by_name(tmp_path, colour, notes):
    file = write_file(tmp_path / "w", colour.state_dict(), **notes)
    with pytest.raises(DataError, match=file):
        read_start(file, GREY)


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["imagenets", "no/such/file.safetensors", ".", ""])
def test_weights_that_are_neither_a_name_nor_a_file_are_refused_with_what_there_is(weights):
    with pytest.raises(DataError, match=r"no such file.*, nor one of surface.*a1_in1k"):
        check_weights(weights, "resnet18")


def test_the_shipped_start_is_refused_for_another_backbone():
    with pytest.raises(DataError, match="surface is a resnet18; resnet50 begins from"):
        check_weights("surface", "resnet50")


def test_tags_are_those_that_timm_has_of_this_backbone_alone():
    assert "a1_in1k" in timm_tags("resnet18")
    assert not [tag for tag in timm_tags("resnet18") if "." in tag]
    check_weights("a1_in1k", "resnet18")
    check_weights("imagenet", "resnet18")
