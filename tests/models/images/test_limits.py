"""What a file may cost is known before anything of it is decoded."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from models.errors import UnreadableImage
from models.images import decode
from models.images.limits import MAX_EDGE, MAX_SCANS, check_bytes
from tests.models.photographs import GREY, encoded, noise, png, smooth


@pytest.fixture(autouse=True)
def _nothing_is_decoded(monkeypatch, request):
    def decoded(*_):
        raise AssertionError("decoded")

    if "is_read" not in request.node.name:
        monkeypatch.setattr(ImageFile.ImageFile, "load", decoded)


def refusal(data, **options):
    with pytest.raises(UnreadableImage) as refused:
        decode(data, GREY, **options)
    return str(refused.value)


def progressive(scans, edge=64):
    """A progressive JPEG whose last scan is repeated, empty, as often as is asked."""
    whole = encoded(Image.fromarray(smooth(edge)), "JPEG", progressive=True)
    start = whole.rindex(b"\xff\xda")
    length = int.from_bytes(whole[start + 2 : start + 4])
    empty = whole[start : start + 2 + length]
    return whole[:-2] + empty * (scans - whole.count(b"\xff\xda")) + b"\xff\xd9"


@pytest.mark.parametrize("scans", [MAX_SCANS + 1, 6000])
def test_a_jpeg_of_many_scans_is_refused(scans):
    said = refusal(progressive(scans))
    if scans == 6000:
        assert said.startswith("more than 1")  # segments, in 60 kB
    else:
        assert said == f"{scans} scans in a JPEG, more than the {MAX_SCANS} allowed; save it anew"


def test_a_progressive_jpeg_as_programs_write_them_is_read():
    data = encoded(Image.fromarray(noise(200, 3)), "JPEG", progressive=True, quality=95)
    assert decode(data, GREY).shape == (1, 24, 24)
    assert data.count(b"\xff\xda") >= 6


def test_scans_of_a_thumbnail_and_of_what_lies_behind_the_image_do_not_count():
    comment = b"\xff\xfe" + struct.pack(">H", 502) + b"\xff\xda" * 250
    data = encoded(Image.fromarray(smooth(64)), "JPEG")
    check_bytes(data[:2] + comment + data[2:] + b"\xff\xda" * 1000)


def test_a_jpeg_of_many_segments_is_refused():
    data = encoded(Image.fromarray(smooth(64)), "JPEG")
    said = refusal(data[:2] + b"\xff\xfe\0\2" * 5000 + data[2:])
    assert "segments in" in said


def chunk(name, body=b""):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def test_a_png_of_many_chunks_is_refused():
    data = encoded(Image.fromarray(noise()))
    said = refusal(data[:33] + chunk(b"tEXt") * 100_000 + data[33:])
    assert said.startswith("more than 21")  # 1000 and one more for each KiB
    assert "chunks in 120" in said


def test_a_png_in_chunks_of_a_kib_is_let_through():
    check_bytes(encoded(Image.fromarray(noise()))[:33] + chunk(b"IDAT", bytes(1024)) * 30_000)


def test_a_gif_of_many_blocks_is_refused():
    data = encoded(Image.fromarray(noise()), "GIF")
    header = 13 + 3 * 256
    assert data[10] & 7 == 7  # a palette of 256 colours
    comment = b"!\xfe" + b"\1x" * 50_000 + b"\0"
    assert "blocks in" in refusal(data[:header] + comment + data[header:])
    check_bytes(data)


def test_a_tiff_of_many_tags_is_refused():
    for head in (
        b"II*\0" + struct.pack("<IH", 8, 60_000),
        b"MM\0*" + struct.pack(">IH", 8, 60_000),
    ):
        assert refusal(head) == "60000 tags in a TIFF, more than the 1000 allowed"
    big = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 10**9)
    assert refusal(big) == "1000000000 tags in a TIFF, more than the 1000 allowed"


def webp(width, height):
    """An animated WebP that claims a canvas and holds a small picture."""
    frame = encoded(Image.fromarray(noise(16, 3)), "WEBP")[12:]
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = bytes(6) + bytes([15, 0, 0, 15, 0, 0]) + bytes(4) + frame
    parts = [(b"VP8X", bytes([2, 0, 0, 0]) + sizes), (b"ANIM", bytes(6)), (b"ANMF", body)]
    inside = b"".join(n + struct.pack("<I", len(b)) + b + b"\0" * (len(b) % 2) for n, b in parts)
    return b"RIFF" + struct.pack("<I", len(inside) + 4) + b"WEBP" + inside


@pytest.mark.parametrize(("width", "height"), [(3_080_208, 16), (16, 3_080_208)])
def test_absurd_edges_are_refused(width, height):
    wanted = f"{width} x {height}: a side is longer than the {MAX_EDGE} pixels allowed"
    assert refusal(png(width, height)) == wanted
    assert refusal(webp(width, height)) == wanted


def test_the_longest_edge_is_read():
    line = np.tile(smooth(), (1, 3000))[:1, :MAX_EDGE]
    data = encoded(Image.fromarray(line))
    assert decode(data, GREY, of_data_set=True).shape == (1, 24, 24)
