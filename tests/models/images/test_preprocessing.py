import pytest
import torch

from models.images import Preprocessing, normalise


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((256, 256), (0, 0, 64, 64)), ((384, 256), (0, 10, 64, 43)), ((1, 900), (31, 0, 1, 64))],
)
def test_padded_the_longer_side_fits_and_the_rest_is_left_on_both_sides(size, wanted):
    assert Preprocessing(64, fit="pad").place(*size) == wanted
    assert Preprocessing(64).place(*size) == (0, 0, 64, 64)


@pytest.mark.parametrize(
    "wrong", [{"bits": 7}, {"bits": 17}, {"bits": 12, "least_bits": 13}, {"fit": "crop"}]
)
def test_what_no_photograph_can_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"8 to 16|stretch or pad"):
        Preprocessing(**wrong)


def test_normalising_centres_and_scales_and_leaves_the_bytes_alone():
    pixels = torch.tensor([[[[0, 255]]]], dtype=torch.uint8)
    found = normalise(pixels, Preprocessing(mean=(0.5,), std=(0.25,)))
    assert found.dtype == torch.float32
    assert found.flatten().tolist() == [-2.0, 2.0]
    assert pixels.flatten().tolist() == [0, 255]


def test_channels_are_normalised_apart_where_each_has_its_own_numbers():
    pixels = torch.full((1, 3, 2, 2), 51, dtype=torch.uint8)
    apart = Preprocessing(2, 3, mean=(0.2, 0.1, 0.0), std=(1.0, 0.5, 0.1))
    found = normalise(pixels, apart)[0, :, 0, 0]
    torch.testing.assert_close(found, torch.tensor([0.0, 0.2, 2.0]))
