import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from models.errors import UnreadableImage
from models.images import (
    Preprocessing,
    at_model_size,
    check_image,
    count_pixels,
    decode,
    is_colour,
    upright,
)
from tests.models.photographs import COLOUR, EDGE, FORMATS, GREY, encoded, grey, noise, smooth


def test_an_image_of_the_models_size_and_mode_passes_unchanged():
    assert np.array_equal(grey(encoded(Image.fromarray(noise()))), noise())
    colour = noise(channels=3)
    found = decode(encoded(Image.fromarray(colour)), COLOUR)
    assert np.array_equal(found.permute(1, 2, 0), colour)


@pytest.mark.parametrize("preprocessing", [GREY, COLOUR])
@pytest.mark.parametrize("shape", [(1, 1), (300, 7), (7, 300), (65, 64)])
def test_any_shape_becomes_the_models_square_of_bytes(preprocessing, shape):
    flat = Image.fromarray(np.full(shape, 77, dtype=np.uint8))
    pixels = decode(encoded(flat), preprocessing, of_data_set=True)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (preprocessing.channels, EDGE, EDGE)
    assert pixels.is_contiguous()
    assert pixels.unique().tolist() == [77]


def test_a_large_photograph_is_averaged_not_sampled():
    stripes = np.zeros((EDGE * 8, EDGE * 8), dtype=np.uint8)
    stripes[:, ::2] = 255
    inside = grey(encoded(Image.fromarray(stripes)))[:, 2:-2]
    assert abs(inside.astype(int) - 127).max() <= 3


@pytest.mark.parametrize("times", [2, 2.34, 4, 9.7])
def test_a_jpeg_is_averaged_while_decoded_as_another_file_is_afterwards(times):
    light = smooth(round(EDGE * times)).astype(int)
    light[light.shape[0] // 3 :, : light.shape[1] // 2] -= 15  # an edge
    photograph = encoded(Image.fromarray(light.clip(0).astype(np.uint8)), "JPEG", quality=95)
    same = encoded(Image.open(io.BytesIO(photograph)))
    apart = grey(photograph).astype(int) - grey(same)
    assert np.abs(apart).mean() < 0.6
    assert np.abs(apart).max() <= 4


def test_the_pixels_are_ours_to_write_to():
    pixels = decode(encoded(Image.fromarray(noise())), GREY)
    pixels[:] = 1
    assert pixels.float().mean() == 1


BEST = {"PNG": {}, "TIFF": {}, "JPEG": {"quality": 95}, "WEBP": {"lossless": True, "exact": True}}
TURNED_BACK = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.T,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_exif_orientation_is_honoured(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = grey(encoded(Image.fromarray(smooth()), kind, exif=exif, **BEST[kind]))
    difference = abs(found.astype(int) - TURNED_BACK[orientation](smooth()))
    assert difference.max() <= (0 if kind in {"PNG", "TIFF"} else 6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(97, 233), (233, 97), (96, 240)])
def test_a_larger_photograph_is_turned_whatever_its_shape(shape, orientation):
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    stored = (20 + 150 * rows / shape[0] + 60 * columns / shape[1]).astype(np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    found = grey(encoded(Image.fromarray(stored), "JPEG", exif=exif, quality=95)).astype(int)
    upright = Image.fromarray(np.ascontiguousarray(TURNED_BACK[orientation](stored)))
    assert np.abs(found - grey(encoded(upright))).max() <= 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind):
    wide = noise().astype(np.uint16) * 257
    assert np.array_equal(grey(encoded(Image.fromarray(wide), kind)), noise())


def test_sixteen_bits_of_either_byte_order_are_read():
    values = noise().astype(int) * 256 + 0x34
    for mode, kind in (("I;16", "<u2"), ("I;16B", ">u2")):
        image = Image.frombytes(mode, (EDGE, EDGE), values.astype(kind).tobytes())
        assert np.array_equal(grey(encoded(image, "TIFF")), noise()), mode


def test_sixteen_bit_grey_becomes_grey_in_colour():
    wide = Image.fromarray(noise().astype(np.uint16) * 257)
    pixels = decode(encoded(wide), COLOUR)
    assert all(np.array_equal(channel, noise()) for channel in pixels)


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP")])
def test_alpha_is_laid_over_black(mode, kind):
    image = Image.new(mode, (EDGE, EDGE), (200,) * (len(mode) - 1) + (0,))  # half of it shows
    image.paste((200,) * (len(mode) - 1) + (128,), (0, 0, EDGE, EDGE // 2))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    pixels = grey(encoded(image, kind, **options))
    assert pixels[EDGE // 2 :].max() == 0
    assert abs(pixels[: EDGE // 2].astype(int) - 100).max() <= 1


def test_a_transparent_colour_of_a_palette_is_black_too():
    image = Image.fromarray((noise() > 127).astype(np.uint8), "P")
    image.putpalette([90, 90, 90, 255, 255, 255])
    for kind in ("PNG", "GIF"):
        shown = grey(encoded(image, kind, transparency=1))
        assert sorted(set(shown.flatten().tolist())) == [0, 90], kind
        assert np.array_equal(shown == 0, noise() > 127), kind
        assert sorted(set(grey(encoded(image, kind)).flatten().tolist())) == [90, 255], kind


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "TIFF")])
def test_alpha_that_is_zero_everywhere_is_no_alpha(mode, kind):
    image = Image.fromarray(noise()).convert(mode)
    image.putalpha(0)
    assert np.array_equal(grey(encoded(image, kind)), noise())
    image.putpixel((3, 5), (*image.getpixel((3, 5))[:-1], 255))
    pixels = decode(encoded(image, kind), GREY, of_data_set=True)
    assert (pixels > 0).sum() == 1


def test_a_palette_of_transparent_colours_only_has_no_alpha():
    image = Image.fromarray((noise() > 127).astype(np.uint8), "P")
    image.putpalette([90, 90, 90, 255, 255, 255])
    shown = grey(encoded(image, "PNG", transparency=bytes([0, 0])))
    assert np.array_equal(shown == 255, noise() > 127)


def test_palette_colours_are_looked_up():
    image = Image.new("P", (EDGE, EDGE), 1)
    image.putpalette([9, 9, 9, 250, 100, 20])
    image.putpixel((9, 9), 0)
    pixels = decode(encoded(image), COLOUR, of_data_set=True)
    assert pixels[:, 0, 0].tolist() == [250, 100, 20]


def test_cmyk_is_converted():
    image = Image.new("CMYK", (EDGE, EDGE), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):
        pixels = decode(encoded(image, kind), COLOUR, of_data_set=True)
        red, green, blue = pixels[:, 0, 0].tolist()
        assert red > 240, kind
        assert max(green, blue) < 20, kind


def test_black_and_white_is_read():
    image = Image.fromarray(np.eye(EDGE) > 0)
    assert np.array_equal(grey(encoded(image)), np.eye(EDGE) * 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(kind):
    frames = [Image.fromarray(smooth() // 2 + light) for light in (0, 60, 120)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert abs(grey(data).astype(int) - smooth() // 2).max() <= 1


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_we_name_is_read(kind):
    options = {"quality": 95} if kind in {"JPEG", "WEBP", "AVIF"} else {}
    found = grey(encoded(Image.fromarray(smooth()), kind, **options))
    assert abs(found.astype(int) - smooth()).max() <= 4


def test_colour_is_told_from_grey_stored_as_colour():
    stored = Image.fromarray(smooth(64)).convert("RGB")
    assert not is_colour(encoded(stored))
    assert not is_colour(encoded(stored, "JPEG"))
    assert is_colour(encoded(Image.new("RGB", (64, 64), (200, 100, 100)), "JPEG"))


@pytest.mark.parametrize("preprocessing", [GREY, COLOUR])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "turned"])
def test_at_model_size_a_photograph_has_the_same_pixels_in_fewer_bytes(preprocessing, kind):
    if kind == "turned":
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        photograph = encoded(Image.fromarray(noise(300, 3)), "JPEG", exif=exif)
    else:
        photograph = encoded(Image.fromarray(noise(300, 3)), kind)
    small = at_model_size(photograph, preprocessing)
    pixels = preprocessing.channels * preprocessing.size**2
    assert pixels < len(small) < pixels + 1100  # a header, and the palette of grey ones
    assert len(small) < len(photograph) / 2
    assert decode(small, preprocessing).equal(decode(photograph, preprocessing))


def test_what_is_small_or_no_image_is_sent_as_it_is():
    small = encoded(Image.fromarray(smooth(64)), "JPEG", quality=10)
    assert at_model_size(small, Preprocessing(128)) == small
    assert at_model_size(b"no image" * 1000, GREY) == b"no image" * 1000


def test_a_photograph_of_many_tiles_has_no_seams():
    high, wide = 1030, 2060
    colours = np.random.default_rng(0).integers(0, 256, (high, wide, 4), dtype=np.uint8)
    form = Preprocessing(size=64, channels=3)
    black = Image.new("RGBA", (wide, high), (0, 0, 0, 255))
    flat = Image.alpha_composite(black, Image.fromarray(colours)).convert("RGB")
    both = [encoded(image, "TIFF") for image in (Image.fromarray(colours), flat)]
    found, wanted = (decode(data, form, of_data_set=True) for data in both)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("shape", [(40, 100), (100, 40), (300, 300), (9, 3)])
def test_for_people_a_photograph_is_shown_upright_with_its_longer_side_as_asked(shape):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = encoded(Image.fromarray(np.full(shape, 90, dtype=np.uint8)), "JPEG", exif=exif)
    height, width, channels = upright(turned, 50, GREY).shape
    assert (max(height, width), channels) == (50, 3)
    assert height / width == pytest.approx(shape[1] / shape[0], rel=0.05)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damaged_orientation_is_no_orientation(kind):
    plain = encoded(Image.fromarray(smooth()), kind, **BEST[kind])
    damaged = encoded(Image.fromarray(smooth()), kind, exif=b"garbage", **BEST[kind])
    assert np.array_equal(grey(damaged), grey(plain))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
def test_a_flat_photograph_stays_flat_whatever_its_size(width, height, light):
    pixels = decode(encoded(Image.new("L", (width, height), light)), GREY, of_data_set=True)
    assert pixels.unique().tolist() == [light]


@pytest.mark.parametrize("bits", [8, 9, 12, 16])
def test_what_may_be_a_casting_is_asked_whatever_its_bits(bits):
    check_image(encoded(Image.fromarray(noise().astype(np.uint16) << (bits - 8))))
    flat = encoded(Image.fromarray(np.full((30, 30), 2**bits - 1, dtype=np.uint16)))
    with pytest.raises(UnreadableImage, match="no contrast"):
        check_image(flat)


def test_the_pixels_of_a_file_are_counted_by_its_header():
    assert count_pixels(encoded(Image.new("L", (30, 20)))) == 600
    assert count_pixels(b"no image") == 0
