import io
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageFile

from models.errors import UnreadableImage
from models.images import (
    MAX_PIXELS,
    Preprocessing,
    at_model_size,
    decode,
    is_colour,
    normalise,
)

EDGE = 24
GREY = Preprocessing(size=EDGE, channels=1)
COLOUR = Preprocessing(size=EDGE, channels=3)
FORMATS = ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF"]
fuzz = settings(max_examples=150, deadline=None, derandomize=True)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def noise(size=EDGE, channels=None, seed=0):
    shape = (size, size) if channels is None else (size, size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(size=EDGE):
    """Lossy formats keep this within a few grey levels; no two of its corners are alike."""
    rows, columns = np.mgrid[0:size, 0:size] / (size - 1)
    return (20 + 150 * rows + 60 * columns).astype(np.uint8)


def grey(data):
    return decode(data, GREY)[0].numpy()


def png(width, height, bits=8, kind=0, rows=b""):
    """A PNG written by hand, so that its header can say anything."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# --- what comes out -----------------------------------------------------------------------------


def test_an_image_of_the_models_size_and_mode_passes_unchanged():
    assert np.array_equal(grey(encoded(Image.fromarray(noise()))), noise())
    colour = noise(channels=3)
    found = decode(encoded(Image.fromarray(colour)), COLOUR)
    assert np.array_equal(found.permute(1, 2, 0), colour)


@pytest.mark.parametrize("preprocessing", [GREY, COLOUR])
@pytest.mark.parametrize("shape", [(1, 1), (300, 7), (7, 300), (65, 64)])
def test_any_shape_becomes_the_models_square_of_bytes(preprocessing, shape):
    flat = Image.fromarray(np.full(shape, 77, dtype=np.uint8))
    pixels = decode(encoded(flat), preprocessing)
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
    assert grey(encoded(Image.fromarray(np.full((EDGE, EDGE), 300, np.uint16)), kind)).max() == 1


def test_sixteen_bits_of_either_byte_order_are_read():
    values = np.full((EDGE, EDGE), 0x1234)
    for mode, kind in (("I;16", "<u2"), ("I;16B", ">u2")):
        image = Image.frombytes(mode, (EDGE, EDGE), values.astype(kind).tobytes())
        assert grey(encoded(image, "TIFF")).max() == 0x1234 // 257, mode


def test_sixteen_bit_grey_becomes_grey_in_colour():
    wide = Image.fromarray(noise().astype(np.uint16) * 257)
    pixels = decode(encoded(wide), COLOUR)
    assert all(np.array_equal(channel, noise()) for channel in pixels)


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP")])
def test_alpha_is_laid_over_black(mode, kind):
    image = Image.new(mode, (EDGE, EDGE), (200,) * (len(mode) - 1) + (0,))
    image.paste((200,) * (len(mode) - 1) + (128,), (0, 0, EDGE, EDGE // 2))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    pixels = grey(encoded(image, kind, **options))
    assert pixels[EDGE // 2 :].max() == 0
    assert abs(pixels[: EDGE // 2].astype(int) - 100).max() <= 1


def test_a_transparent_colour_of_a_palette_is_black_too():
    image = Image.new("P", (EDGE, EDGE), 1)
    image.putpalette([0, 0, 0, 255, 255, 255])
    for kind in ("PNG", "GIF"):
        assert grey(encoded(image, kind, transparency=1)).max() == 0, kind
        assert grey(encoded(image, kind)).min() == 255, kind


def test_palette_colours_are_looked_up():
    image = Image.new("P", (EDGE, EDGE), 1)
    image.putpalette([9, 9, 9, 250, 100, 20])
    assert decode(encoded(image), COLOUR)[:, 0, 0].tolist() == [250, 100, 20]


def test_cmyk_is_converted():
    image = Image.new("CMYK", (EDGE, EDGE), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):
        red, green, blue = decode(encoded(image, kind), COLOUR)[:, 0, 0].tolist()
        assert red > 240, kind
        assert max(green, blue) < 20, kind


def test_black_and_white_is_read():
    image = Image.fromarray(np.eye(EDGE) > 0)
    assert np.array_equal(grey(encoded(image)), np.eye(EDGE) * 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(kind):
    frames = [Image.new("L", (EDGE, EDGE), light) for light in (40, 120, 200)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert abs(grey(data).astype(int) - 40).max() <= 1


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_we_name_is_read(kind):
    options = {"quality": 95} if kind in {"JPEG", "WEBP"} else {}
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


def test_normalising_centres_and_scales_and_leaves_the_bytes_alone():
    pixels = torch.tensor([[[[0, 255]]]], dtype=torch.uint8)
    found = normalise(pixels, Preprocessing(mean=0.5, std=0.25))
    assert found.dtype == torch.float32
    assert found.flatten().tolist() == [-2.0, 2.0]
    assert pixels.flatten().tolist() == [0, 255]


# --- what is refused ----------------------------------------------------------------------------


def refusal(data, preprocessing=GREY, **options):
    with pytest.raises(UnreadableImage) as refused:
        decode(data, preprocessing, **options)
    return str(refused.value)


def test_an_empty_file_is_called_empty():
    assert refusal(b"") == "empty file"


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", encoded(Image.fromarray(noise())))
    return buffer.getvalue()


OTHER_THINGS = {
    "text": b"just some text\n" * 20,
    "HTML": b"<!doctype html><html><body>404</body></html>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "zip": zipped(),
    "PDF": b"%PDF-1.7\n%...\n",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "PPM": encoded(Image.fromarray(noise()), "PPM"),
    "JSON": b"{}",
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("what", OTHER_THINGS)
def test_what_is_no_image_is_refused_with_the_formats_that_are_read(what):
    reason = refusal(OTHER_THINGS[what])
    assert reason.startswith("not an image of a kind we read")
    assert all(kind in reason for kind in FORMATS)


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_image_is_refused(kind, tenth):
    whole = encoded(Image.fromarray(noise(60, 3)), kind)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert refusal(whole[: len(whole) * tenth // 10])
    assert [str(w.message) for w in warned] == []


def test_floating_point_pixels_are_refused_with_the_way_out():
    image = Image.fromarray(np.full((EDGE, EDGE), 0.5, dtype=np.float32))
    assert "save it as 16 bit" in refusal(encoded(image, "TIFF"))


def test_the_limit_is_on_pixels_and_inclusive():
    data = encoded(Image.new("L", (10, 10), 5))
    assert decode(data, GREY, max_pixels=100).unique().tolist() == [5]
    assert refusal(data, max_pixels=99) == "10 x 10 is 100 pixels, more than the 99 allowed"


@pytest.mark.parametrize("edge", [9_460, 10_001, 13_370], ids=["89 MP", "100 MP", "179 MP"])
def test_a_bomb_is_refused_by_its_header_before_anything_is_decoded(monkeypatch, edge):
    def decoded(*_):
        raise AssertionError("the bomb was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decoded)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        allowed = min(MAX_PIXELS, edge * edge - 1)
        reason = refusal(png(edge, edge), max_pixels=allowed)
    assert reason == f"{edge} x {edge} is {edge * edge} pixels, more than the {allowed} allowed"
    assert [str(w.message) for w in warned] == []


def test_a_bomb_that_pillow_itself_refuses_is_told_by_our_limit():
    assert refusal(png(60_000, 60_000)) == f"more pixels than the {MAX_PIXELS} allowed"


def tiff(**tags):
    """A grey TIFF of a few pixels, written by hand, with numbers added to its directory."""
    numbers = {256: EDGE, 257: EDGE, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 279: 9}
    numbers |= {ExifTags.Base[name].value: number for name, number in tags.items()}
    entries = b"".join(struct.pack("<HHII", n, 4, 1, numbers[n]) for n in sorted(numbers))
    return b"II*\0" + struct.pack("<IH", 8, len(numbers)) + entries + bytes(4)


@pytest.mark.parametrize("rows", ["TileLength", "RowsPerStrip"])
def test_a_tiff_of_a_few_bytes_cannot_ask_for_the_memory_of_an_enormous_tile(rows):
    reason = refusal(tiff(TileWidth=16_000, **{rows: 32_000}))
    assert reason == "16000 x 32000 is 512000000 pixels, more than the 100000000 allowed"


def test_a_photograph_below_our_limit_is_read_without_a_word_from_pillow():
    edge = 9_500  # 90 megapixels: Pillow warns from 89 on
    data = png(edge, edge, bits=1, rows=bytes(edge * (1 + (edge + 7) // 8)))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert decode(data, GREY).max() == 0
    assert [str(w.message) for w in warned] == []


def test_a_photograph_of_many_tiles_has_no_seams():
    high, wide = 1030, 2060
    colours = np.random.default_rng(0).integers(0, 256, (high, wide, 4), dtype=np.uint8)
    form = Preprocessing(size=64, channels=3)
    black = Image.new("RGBA", (wide, high), (0, 0, 0, 255))
    flat = Image.alpha_composite(black, Image.fromarray(colours)).convert("RGB")
    found, wanted = (decode(encoded(i, "TIFF"), form) for i in (Image.fromarray(colours), flat))
    assert torch.equal(found, wanted)


IN_A_PROCESS_OF_ITS_OWN = """
import sys
from pathlib import Path
from models.images import Preprocessing, decode
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
data, before = sys.stdin.buffer.read(), peak()
decode(data, Preprocessing())
print(peak() - before)
"""


def test_what_is_needed_beside_the_pixels_does_not_grow_with_them():
    edge = 4000
    pixels = edge * edge // 1024  # KiB a channel
    data = encoded(Image.new("RGBA", (edge, edge)))
    command = [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, input=data, capture_output=True, check=True, cwd=root)
    assert int(done.stdout) < 4 * pixels + pixels + 40_000  # as sent, as 8-bit grey, one tile


def test_damaged_metadata_is_refused_or_passed_over_without_a_word_from_pillow():
    data = bytearray(encoded(Image.fromarray(noise(16)), "TIFF"))
    data[4] = 1  # where the directory is said to lie
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert refusal(bytes(data))
    assert [str(w.message) for w in warned] == []


# --- properties ---------------------------------------------------------------------------------

VALID = {
    **{kind: encoded(Image.fromarray(noise(16, 3)), kind) for kind in FORMATS},
    "palette": encoded(Image.fromarray(noise(16, 3)).quantize(16), "PNG", transparency=3),
    "16 bit": encoded(Image.fromarray(noise(16).astype(np.uint16) * 257), "TIFF"),
}


def survives(data):
    """Decode, or refuse with a reason; nothing else, also where Pillow would only warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            outcome = decode(data, GREY, max_pixels=10_000).shape
        except UnreadableImage as refused:
            outcome = str(refused)
    assert outcome == (1, EDGE, EDGE) or isinstance(outcome, str)
    assert outcome


@fuzz
@given(st.binary(max_size=200), st.sampled_from([b"", *(d[:12] for d in VALID.values())]))
def test_any_bytes_are_an_image_or_unreadable(body, head):
    survives(head + body)


@pytest.mark.parametrize("kind", VALID)
@fuzz
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_image_is_read_or_unreadable(kind, changes):
    data = bytearray(VALID[kind])
    for where, value in changes:
        data[where % min(len(data), 400)] = value
    survives(bytes(data))


@fuzz
@given(*(st.tuples(st.sampled_from(sorted(VALID)), st.floats(0, 1)) for _ in range(2)))
def test_the_head_of_one_image_on_the_tail_of_another_is_read_or_unreadable(head, tail):
    first, second = VALID[head[0]], VALID[tail[0]]
    survives(first[: int(head[1] * len(first))] + second[int(tail[1] * len(second)) :])


SIZES = [0, 1, 255, 2**15, 2**16 - 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1]


@pytest.mark.parametrize("kind", VALID)
@fuzz
@given(st.integers(0, 199), st.sampled_from(SIZES), st.sampled_from(["<H", ">H", "<I", ">I"]))
def test_a_header_that_says_an_enormous_number_is_read_or_unreadable(kind, where, size, form):
    number = struct.pack(form, size % 2 ** (8 * struct.calcsize(form)))
    survives(VALID[kind][:where] + number + VALID[kind][where + len(number) :])


@fuzz
@given(
    st.sampled_from([b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL", b"eXIf", b"iCCP"]),
    st.binary(max_size=30),
)
def test_a_png_with_a_chunk_of_anything_is_read_or_unreadable(name, body):
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    for data in (VALID["PNG"], VALID["palette"]):
        survives(data[:33] + chunk + data[33:])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
def test_a_flat_photograph_stays_flat_whatever_its_size(width, height, light):
    pixels = decode(encoded(Image.new("L", (width, height), light)), GREY)
    assert pixels.unique().tolist() == [light]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damaged_orientation_is_no_orientation(kind):
    plain = encoded(Image.fromarray(smooth()), kind, **BEST[kind])
    damaged = encoded(Image.fromarray(smooth()), kind, exif=b"garbage", **BEST[kind])
    assert np.array_equal(grey(damaged), grey(plain))
