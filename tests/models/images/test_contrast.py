"""Frames that show nothing are refused; castings that are lit badly are not."""

import numpy as np
import pytest
from PIL import Image

from models.errors import UnreadableImage
from models.images import Preprocessing, decode
from models.images.contrast import FLAT, NOISE
from tests.models.photographs import encoded

FORM = Preprocessing(64)


def is_refused(pixels, kind="PNG", **options):
    try:
        decode(encoded(Image.fromarray(pixels), kind, **options), FORM)
    except UnreadableImage as error:
        return str(error).startswith("no contrast: grey level ")
    return False


def casting(edge=128):
    """A disc with a hole, a gradient over it, and a fine texture."""
    rows, columns = np.mgrid[0:edge, 0:edge] / edge - 0.5
    radius = np.hypot(rows, columns)
    light = np.where(radius < 0.4, 150 + 80 * columns, 60)
    light = np.where(radius < 0.1, 20, light)
    texture = np.random.default_rng(0).normal(0, 6, (edge, edge))
    return (light + texture).clip(0, 255)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
@pytest.mark.parametrize("level", [0, 17, 128, 255])
def test_a_frame_of_one_level_is_no_casting(level, kind):
    assert is_refused(np.full((100, 140), level, dtype=np.uint8), kind)
    assert is_refused(np.full((60, 60, 3), level, dtype=np.uint8), kind)


@pytest.mark.parametrize("deviation", [1, 2, 4, 5])
@pytest.mark.parametrize("level", [0, 3, 128, 250, 255])
@pytest.mark.parametrize("edge", [64, 300])
def test_nor_is_noise_about_one(edge, level, deviation):
    random = np.random.default_rng(level + deviation)
    frame = random.normal(level, deviation, (edge, edge)).clip(0, 255).astype(np.uint8)
    assert is_refused(frame)
    assert is_refused(frame, "JPEG", quality=90)


def test_nor_are_a_few_hot_pixels_on_black():
    frame = np.zeros((300, 300), dtype=np.uint8)
    frame[tuple(np.random.default_rng(0).integers(0, 300, (2, 20)))] = 255
    assert is_refused(frame)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [1, 5, 10, 20])
@pytest.mark.parametrize("edge", [64, 128, 400])
def test_a_dark_casting_is_one(edge, share, kind):
    """Down to levels of 0 to 12."""
    dark = (casting(edge) / share).astype(np.uint8)
    assert dark.max() <= 255 / share
    assert not is_refused(dark, kind)


def test_so_are_one_that_is_almost_too_bright_and_one_in_haze():
    assert not is_refused((245 + casting() / 25).clip(0, 255).astype(np.uint8))
    assert not is_refused((120 + casting() / 16).astype(np.uint8))


def test_the_limits_are_where_the_docstring_says():
    step = np.zeros((64, 64))
    step[:, 32:] = 1  # deviates by half of its height
    assert FLAT < 0.5
    assert not is_refused((100 + step).astype(np.uint8))
    few = np.zeros((64, 64))
    few[:, :4] = 1  # by sqrt(1/16 * 15/16) = 0.24
    assert is_refused((100 + few).astype(np.uint8))
    strong = np.random.default_rng(0).normal(128, NOISE + 1, (64, 64)).clip(0, 255)
    assert not is_refused(strong.astype(np.uint8))  # noise as strong as this may be a surface
