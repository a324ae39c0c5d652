import pytest
import torch
from torch import nn
from torchvision import models as zoo

from models.errors import DataError
from models.images import Preprocessing
from models.network.network import Network
from models.network.spec import NetworkSpec
from models.network.weights import build

GREY = NetworkSpec("resnet18", 1, 2)
COLOUR = NetworkSpec("resnet18", 3, 2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_images(channels, count=2, size=32):
    return torch.rand(count, channels, size, size, generator=seeded(5))


def test_an_unknown_backbone_is_refused_with_the_list():
    with pytest.raises(DataError, match="'vgg'; there are resnet18, resnet34, resnet50"):
        Network(NetworkSpec("vgg", 1, 2))


@pytest.mark.usefixtures("in_fp32")
def test_backbone_and_head_are_torchvisions_network():
    ours = build(COLOUR, "scratch", seeded()).eval()
    theirs = zoo.resnet18(weights=None, num_classes=2)
    state = ours.backbone.state_dict() | {f"fc.{k}": v for k, v in ours.head.state_dict().items()}
    theirs.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(random_images(3)), theirs.eval()(random_images(3)), atol=1e-4, rtol=1e-4
        )


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
        of_twin = network.for_inference(Preprocessing()).features(images)
    difference = (of_twin - expected).norm() / expected.norm()
    assert difference < (0.02 if native else 1e-5)
    twin = network.for_inference(Preprocessing())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in twin.modules())
    assert twin.head.weight.dtype == torch.float32
    torch.testing.assert_close(dict(network.state_dict()), before)


def test_activations_are_noted_and_part_of_what_is_saved():
    network = build(GREY, "scratch", seeded()).eval()
    assert not network.largest_inputs.any()
    network.observe_activations(random_images(1))
    assert (network.largest_inputs > 0).all()
    assert torch.equal(network.state_dict()["largest_inputs"], network.largest_inputs)
