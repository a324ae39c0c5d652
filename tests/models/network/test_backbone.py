import pytest
import torch
from torch import nn

from models.network.backbone import BACKBONES, fold_batch_norms
from models.network.spec import NetworkSpec
from models.network.weights import build


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_images(channels, count=2, size=32):
    return torch.rand(count, channels, size, size, generator=seeded(5))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_gives_logits_for_grey_and_colour(backbone, channels):
    network = build(NetworkSpec(backbone, channels, 4), "scratch", seeded()).eval()
    with torch.no_grad():
        features = network.features(random_images(channels))
        logits = network(random_images(channels))
    assert features.shape == (2, network.feature_count)
    assert features.dtype == torch.float32
    assert logits.shape == (2, 4)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", BACKBONES)
def test_folded_batch_norms_leave_the_numbers_and_no_batch_norm(name):
    backbone = build(NetworkSpec(name, 3, 2), "scratch", seeded()).eval().backbone
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1, generator=seeded())
            module.running_var.uniform_(0.5, 2, generator=seeded(1))
    images = random_images(3)
    with torch.no_grad():
        expected = backbone(images)
        for module in list(backbone.modules()):
            fold_batch_norms(module)
        folded = backbone(images)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    torch.testing.assert_close(folded, expected, atol=1e-4, rtol=1e-3)
