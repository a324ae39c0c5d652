from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models as zoo

from models.errors import DataError
from models.network.backbone import build_stages, digest_of, fold_batch_norms, pool
from models.network.spec import STATISTICS, STRIDES, NetworkSpec
from tests.models.network.networks import from_scratch, seeded, shaken

GREY = NetworkSpec("resnet18", 1, 2)
FAMILIES = ["resnet18", "resnet50", "resnet18d", "mobilenetv3_small_050", "regnetx_002",
            "convnext_atto", "densenet121"]  # fmt: skip


def random_images(channels, count=2, size=32):
    return torch.rand(count, channels, size, size, generator=seeded(5))


def backbone_of(spec, seed=0):
    return shaken(from_scratch(spec, seed)).backbone


# --- pooling ------------------------------------------------------------------------------------


def test_a_stage_is_pooled_to_mean_maximum_and_deviation_by_hand():
    stage = torch.tensor([[[[1.0, 3.0], [3.0, 5.0]], [[0.0, 0.0], [0.0, 8.0]]]])
    pooled = pool([stage, 10 * stage[:, :1]], STATISTICS)
    root = 2**0.5
    expected = [3, 2, 5, 8, root, 12**0.5, 30, 50, 10 * root]
    torch.testing.assert_close(pooled, torch.tensor([expected]))


def test_pooled_are_the_statistics_of_numpy_in_the_order_asked_for():
    stages = [
        torch.rand(3, 4, 5, 7, generator=seeded()),
        torch.rand(3, 6, 2, 2, generator=seeded()),
    ]
    pooled = pool(stages, ("deviation", "mean"))
    of_numpy = [np.std(s.numpy(), axis=(2, 3)) if f == "std" else np.mean(s.numpy(), axis=(2, 3))
                for s in stages for f in ("std", "mean")]  # fmt: skip
    np.testing.assert_allclose(pooled.numpy(), np.concatenate(of_numpy, axis=1), rtol=1e-5)


def test_what_is_the_same_in_all_cells_sends_no_nan_back():
    dead = torch.zeros(2, 3, 4, 4, requires_grad=True)
    pool([dead], STATISTICS).sum().backward()
    assert torch.isfinite(dead.grad).all()


# --- stages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_backbone_of_any_family_is_pooled_for_grey_and_colour(name, channels):
    backbone = from_scratch(NetworkSpec(name, channels, 2)).backbone
    maps = backbone.maps(random_images(channels))
    assert [32 // stage.shape[2] for stage in maps] == list(STRIDES)
    pooled = backbone(random_images(channels))
    assert pooled.shape == (2, backbone.pooled_count)
    assert backbone.pooled_count == 3 * sum(stage.shape[1] for stage in maps)
    assert pooled.dtype == torch.float32
    assert torch.isfinite(pooled).all()


@pytest.mark.usefixtures("in_fp32")
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_the_stages_of_a_resnet_are_those_of_torchvision(name):
    backbone = backbone_of(NetworkSpec(name, 3, 2))
    with torch.device("meta"):
        theirs = zoo.get_model(name, weights=None)
    theirs = theirs.to_empty(device="cpu").eval()
    unfit = theirs.load_state_dict(backbone.stages.state_dict(), strict=False)
    assert {key.split(".")[0] for key in unfit.missing_keys} == {"layer4", "fc"}
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(random_images(3)))))
    for stage, found in zip(("layer1", "layer2", "layer3"), backbone.maps(random_images(3)),
                            strict=True):  # fmt: skip
        x = getattr(theirs, stage)(x)
        torch.testing.assert_close(found, x.detach(), atol=1e-4, rtol=1e-4)


def test_other_strides_give_other_stages():
    backbone = from_scratch(replace(GREY, strides=(32,), statistics=("mean",))).backbone
    assert backbone.pooled_count == 512
    assert [stage.shape[1:] for stage in backbone.maps(random_images(1))] == [(512, 1, 1)]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("resnet1", r"timm has no network of that name \(did you mean resnet1\d\?\)"),
        ("vit_tiny_patch16_224", "stages of 16, 16, 16 pixels per cell, 4, 8, 16 are needed"),
        ("swin_tiny_patch4_window7_224", "is no convolutional network"),
        ("mixer_s16_224", "--backbone mixer_s16_224: "),
    ],
)
def test_what_gives_no_such_maps_is_refused_by_name(name, why):
    with torch.device("meta"), pytest.raises(DataError, match=why):
        build_stages(name, 1, STRIDES)


def test_threads_that_share_a_backbone_of_hooks_get_their_own_castings():
    name = "xception41"  # timm keeps what its hooks see at the network
    backbone = from_scratch(NetworkSpec(name, 1, 2, strides=(4, 8), statistics=("mean",))).backbone
    castings = [random_images(1) * shade for shade in (0.1, 0.4, 0.7, 1.0)]
    alone = [backbone(images) for images in castings]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(backbone, castings * 3))
    for found, expected in zip(together, alone * 3, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


# --- what it is known by ------------------------------------------------------------------------


def test_a_digest_follows_from_names_and_values_and_not_from_the_order_or_counters():
    tensors = {"b.weight": torch.ones(2, 3), "a": torch.zeros(1)}
    known = digest_of(tensors)
    assert digest_of(dict(reversed(tensors.items()))) == known
    assert digest_of(tensors | {"bn.num_batches_tracked": torch.tensor(7)}) == known
    assert digest_of({"b.weight": torch.ones(3, 2), "a": torch.zeros(1)}) != known
    assert digest_of({"c": torch.ones(2, 3), "a": torch.zeros(1)}) != known
    assert digest_of(tensors | {"a": torch.tensor([1e-30])}) != known


def test_a_digest_does_not_depend_on_how_tensors_lie_in_memory():
    plain = torch.rand(4, 3, 2, 2, generator=seeded())
    there = plain.contiguous(memory_format=torch.channels_last)
    assert digest_of({"w": there}) == digest_of({"w": plain})
    assert digest_of({"w": plain.bfloat16()}) == digest_of({"w": plain.bfloat16().float()})


def test_a_twin_remembers_what_it_was_made_from():
    backbone = backbone_of(GREY)
    assert backbone.sha256 == ""
    twin = backbone.for_inference()
    assert twin.sha256 == backbone.digest() != twin.digest()
    assert twin.for_inference() is twin


# --- the twin for inference ---------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_folded_batch_norms_leave_the_numbers(name):
    backbone = backbone_of(NetworkSpec(name, 3, 2))
    expected = backbone(random_images(3))
    for module in list(backbone.modules()):
        fold_batch_norms(module)
    torch.testing.assert_close(backbone(random_images(3)), expected, atol=1e-3, rtol=1e-3)
    if name in {"resnet18", "resnet50"}:
        assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "convnext_atto"])
@pytest.mark.parametrize("native", [True, False])
def test_the_twin_for_inference_pools_the_same_and_leaves_the_backbone(name, native, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    backbone = backbone_of(NetworkSpec(name, 1, 2))
    images = torch.randn(4, 1, 64, 64, generator=seeded())
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with torch.inference_mode():
        expected = backbone(images)
        twin = backbone.for_inference()
        of_twin = twin(images)
    assert twin.precision == ("bf16" if native else "fp32")
    assert (of_twin - expected).norm() / expected.norm() < (0.02 if native else 1e-5)
    torch.testing.assert_close(dict(backbone.state_dict()), before)
