import pytest
import torch
from safetensors.torch import save_file

from models.images import Preprocessing, normalise
from models.network.spec import NetworkSpec
from models.network.start_features import cold_features
from models.network.weights import build

SPEC = NetworkSpec("resnet18", 1, 2)
SMALL = Preprocessing(32)


def test_of_weights_from_scratch_it_is_the_castings_shrunk_less_their_mean():
    flat = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1, 1)
    features = cold_features(flat.expand(-1, 1, 32, 32), SPEC, "scratch", SMALL)
    assert features.shape == (3, 256)
    torch.testing.assert_close(features[:, 0], torch.tensor([0.0, 0.2, 1.0]) - 0.4)
    assert (features == features[:, :1]).all()


def test_of_colour_the_channels_count_alike():
    colour = torch.tensor([255, 0, 0], dtype=torch.uint8).reshape(1, 3, 1, 1)
    black = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    both = torch.cat([colour.expand(-1, -1, 32, 32), black])
    features = cold_features(both, NetworkSpec("resnet18", 3, 2), "scratch", SMALL)
    torch.testing.assert_close(features[:, 0], torch.tensor([1 / 6, -1 / 6]))


@pytest.mark.usefixtures("in_fp32")
def test_of_other_weights_it_is_what_their_backbone_says_of_more_than_a_minibatch(
    pixels, tmp_path
):
    start = build(SPEC, "scratch", torch.Generator().manual_seed(4)).eval()
    save_file({k: v.contiguous() for k, v in start.state_dict().items()}, tmp_path / "w")
    features = cold_features(pixels, SPEC, str(tmp_path / "w"), SMALL)
    with torch.inference_mode():
        expected = start.features(normalise(pixels, SMALL))
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)
