"""Photographs that are no squares: stretched, or padded."""

import numpy as np
import pytest
import torch
from PIL import Image

from models.images import FITS, Preprocessing, decode, upright
from tests.models.photographs import EDGE, GREY, encoded, noise


def striped(height, width):
    """Dark with a bright stripe of an eighth of its width in the middle."""
    light = np.full((height, width), 20, dtype=np.uint8)
    light[:, width * 7 // 16 : width * 9 // 16] = 220
    return encoded(Image.fromarray(light))


@pytest.mark.parametrize("fit", FITS)
def test_a_square_photograph_is_fitted_in_one_way_only(fit):
    square = encoded(Image.fromarray(noise(60)))
    assert torch.equal(decode(square, Preprocessing(EDGE, fit=fit)), decode(square, GREY))


def test_a_padded_photograph_keeps_its_shape_on_a_margin_that_normalises_to_nothing():
    form = Preprocessing(32, 1, mean=(0.4,), fit="pad")
    pixels = decode(striped(64, 128), form)[0]
    assert pixels[:8].unique().tolist() == pixels[24:].unique().tolist() == [102]
    assert (pixels[8:24] > 120).sum(dim=1).tolist() == [4] * 16  # an eighth of 32
    tall = decode(striped(128, 64), form)[0]
    assert tall[:, :8].unique().tolist() == tall[:, 24:].unique().tolist() == [102]
    colour = decode(striped(64, 128), Preprocessing(32, 3, mean=(0.2, 0.4, 0.6), fit="pad"))
    assert colour[:, 0, 0].tolist() == [51, 102, 153]


def test_for_people_a_padded_photograph_lies_on_the_square_that_the_network_saw():
    for channels in (1, 3):
        form = Preprocessing(32, channels, mean=(0.4,) * channels, fit="pad")
        picture = upright(striped(64, 128), 64, form)
        assert picture.shape == (64, 64, 3)
        assert np.unique(picture[:16]).tolist() == np.unique(picture[48:]).tolist() == [102]
        assert (picture[16:48, :, 0] > 120).sum(axis=1).tolist() == [8] * 32


def test_round_and_oval_are_told_apart_where_they_are_padded():
    def disc(height, width):
        rows, columns = np.mgrid[0:height, 0:width]
        inside = ((rows / height - 0.5) ** 2 + (columns / width - 0.5) ** 2) < 0.16
        return encoded(Image.fromarray((40 + 150 * inside).astype(np.uint8)))

    apart = {}
    for fit in FITS:
        found = [
            decode(disc(256, width), Preprocessing(64, fit=fit)).int() for width in (256, 384)
        ]
        apart[fit] = float((found[0] - found[1]).abs().float().mean())
    assert apart["stretch"] < 2
    assert apart["pad"] > 20
