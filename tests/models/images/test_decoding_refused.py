"""What is no photograph, is damaged, or would take more memory than it says."""

import io
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile

from models.errors import UnreadableImage
from models.images import MAX_PIXELS, decode
from tests.models.photographs import EDGE, FORMATS, GREY, encoded, noise, png


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
    "ICO": encoded(Image.fromarray(noise()), "ICO"),
    "PNM of a comment without end": b"P5\n#" + b"x" * 100_000,
    "JSON": b"{}",
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("what", OTHER_THINGS)
def test_what_is_no_image_is_refused_with_the_formats_that_are_read(what):
    reason = refusal(OTHER_THINGS[what])
    assert reason.startswith("not an image of a kind we read")
    assert all(kind in reason for kind in FORMATS)


@pytest.mark.parametrize("magic", [b"P1", b"P2", b"P3"])
def test_a_pnm_of_plain_text_is_refused_with_the_way_out(magic):
    assert refusal(magic + b"\n1 1\n1\n1\n") == "a PNM of plain text; save it in binary (P5 or P6)"


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
    assert decode(data, GREY, max_pixels=100, of_data_set=True).unique().tolist() == [5]
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
        assert decode(data, GREY, of_data_set=True).max() == 0
    assert [str(w.message) for w in warned] == []


IN_A_PROCESS_OF_ITS_OWN = """
import sys
from pathlib import Path
from models.images import Preprocessing, decode
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
data, before = sys.stdin.buffer.read(), peak()
decode(data, Preprocessing(), of_data_set=True)
print(peak() - before)
"""


def test_what_is_needed_beside_the_pixels_does_not_grow_with_them():
    edge = 4000
    pixels = edge * edge // 1024  # KiB a channel
    data = encoded(Image.new("RGBA", (edge, edge)))
    command = [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, input=data, capture_output=True, check=True, cwd=root)
    assert int(done.stdout) < 4 * pixels + pixels + 40_000  # as sent, as 8-bit grey, one tile


def test_damaged_metadata_is_refused_or_passed_over_without_a_word_from_pillow():
    data = bytearray(encoded(Image.fromarray(noise(16)), "TIFF"))
    data[4] = 1  # where the directory is said to lie
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert refusal(bytes(data))
    assert [str(w.message) for w in warned] == []
