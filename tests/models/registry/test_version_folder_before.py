"""Versions of formats 3 and 4, beside the networks of torchvision that were written in them."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision import models as zoo

from models.errors import VersionError
from models.images import normalise
from models.network.mc_dropout import pass_masks
from models.registry import version_folder
from tests.models.network.networks import seeded, shaken
from tests.models.registry.versions import described, restored

TEMPERATURE = 1.5
SEED, PASSES = 0, 8  # of goldens


def as_it_was(name, seed):
    """A network of before: a ResNet up to the means of its last stage, and a head."""
    with torch.device("meta"):
        backbone = zoo.get_model(name, weights=None)
    backbone = backbone.to_empty(device="cpu").eval()
    backbone.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    backbone.fc = torch.nn.Identity()
    generator = seeded(seed)
    for parameter in backbone.parameters():
        if parameter.ndim == 4:
            torch.nn.init.kaiming_normal_(parameter, mode="fan_out", generator=generator)
        else:
            torch.nn.init.uniform_(parameter, 0.5, 1, generator=generator)
    shaken(backbone, seed)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.num_batches_tracked.zero_()
    width = 2048 if name == "resnet50" else 512
    head = torch.nn.Linear(width, 2)
    with torch.no_grad():
        torch.nn.init.normal_(head.weight, std=0.2 / width, generator=generator)
        torch.nn.init.zeros_(head.bias)
    return backbone.requires_grad_(requires_grad=False), head.requires_grad_(requires_grad=False)


def passes_of(networks, images):
    """Posterior and verdict, by the arithmetic of before."""
    if len(networks) > 1:
        probs = [(head(b(images)) / TEMPERATURE).softmax(dim=1) for b, head in networks]
        return torch.stack(probs, dim=1), torch.stack(probs).mean(dim=0)
    ((backbone, head),) = networks
    features = backbone(images)
    masks = pass_masks(PASSES, features.shape[1], 0.5, SEED)
    logits = [head(features * mask) / TEMPERATURE for mask in masks]
    plain = (head(features) / TEMPERATURE).softmax(dim=1)
    return torch.stack([each.softmax(dim=1) for each in logits], dim=1), plain


def write_as_it_was(folder, networks, name, number, pixels, look):
    folder.mkdir()
    several = len(networks) > 1
    tensors = {}
    for member, (backbone, head) in enumerate(networks):
        prefix = f"members.{member}." if several else ""
        called = "trunk" if number == 3 else "backbone"
        tensors |= {f"{prefix}{called}.{k}": v for k, v in backbone.state_dict().items()}
        tensors |= {f"{prefix}head.{k}": v for k, v in head.state_dict().items()}
        count = len([m for m in backbone.modules() if isinstance(m, torch.nn.Conv2d)]) - 1
        tensors[f"{prefix}largest_inputs"] = torch.zeros(count)
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "weights.safetensors")
    network = {"backbone": name, "channels": 1, "classes": 2, "dropout": 0.5}
    description = {
        "format": number,
        "network": network | {"members": len(networks)},
        "preprocessing": {"size": 32, "channels": 1, "mean": 0.45, "std": 0.25},
        "classes": ["def", "ok"],
        "operating": {"good": "ok", "threshold": 0.4, "temperature": TEMPERATURE},
        "golden_precision": "fp32",
    }
    (folder / "model.json").write_text(json.dumps(description))
    posterior, plain = passes_of(networks, normalise(pixels[:8], look))
    golden = {"pixels": pixels[:8].contiguous(), "deterministic": plain, "posterior": posterior}
    save_file({k: v.contiguous() for k, v in golden.items()}, folder / "golden.safetensors")
    return networks


@pytest.fixture
def before(tmp_path, pixels, predictor):
    def write(name="resnet18", number=4, members=1):
        networks = [as_it_was(name, seed) for seed in range(members)]
        look = predictor.preprocessing
        write_as_it_was(tmp_path / "version", networks, name, number, pixels, look)
        return tmp_path / "version", networks

    return write


@pytest.mark.usefixtures("in_fp32")
@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize(("name", "number"), [("resnet18", 3), ("resnet18", 4), ("resnet50", 4)])
def test_a_version_of_before_gives_the_numbers_that_it_gave(
    before, pixels, predictor, name, number, members
):
    folder, networks = before(name, number, members)
    read = version_folder.read(folder)
    assert read.classes == ("def", "ok")
    assert read.preprocessing == predictor.preprocessing
    images = normalise(pixels[20:30], predictor.preprocessing)
    features = torch.cat([backbone(images) for backbone, _ in networks], dim=1)
    torch.testing.assert_close(read.embed(pixels[20:30]), features, atol=1e-3, rtol=1e-4)
    posterior, plain = passes_of(networks, images)
    scores = read.score(pixels[20:30], PASSES, SEED)
    for found, wanted in ((scores.probs_N_K_C, posterior), (scores.deterministic_N_C, plain)):
        torch.testing.assert_close(found.float(), wanted, atol=1e-4, rtol=0)
    assert (posterior.std(dim=1) > 1e-4).any()  # else this compares nothing


@pytest.mark.usefixtures("in_fp32")
def test_a_version_of_before_shares_no_backbone(before):
    folder, _ = before()
    backbones = {}
    version_folder.read(folder, backbones)
    assert backbones == {}


@pytest.mark.parametrize("lacking", ["head.bias", "backbone.layer4.1.bn2.weight"])
def test_a_version_of_before_that_lacks_a_tensor_is_refused(before, lacking):
    folder, _ = before()
    assert lacking in load_file(folder / "weights.safetensors")
    restored(folder, "weights.safetensors", lambda t: t.pop(lacking))
    with pytest.raises(VersionError, match="not a readable model version"):
        version_folder.read(folder)


@pytest.mark.parametrize("number", [2, 5, None])
def test_files_of_before_are_of_no_other_format(before, number):
    folder, _ = before()
    described(folder, lambda d: d.update(format=number))
    with pytest.raises(VersionError, match=f"format {number}, this program reads formats 3, 4, 5"):
        version_folder.read(folder)


def test_files_of_both_kinds_are_refused(before):
    folder, _ = before()
    (folder / "head.safetensors").write_bytes(b"")
    with pytest.raises(VersionError, match=r"nothing else; remove head\.safetensors"):
        version_folder.read(folder)
