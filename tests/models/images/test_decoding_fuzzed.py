"""Any bytes are an image or unreadable, and nothing else."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.errors import UnreadableImage
from models.images import decode
from tests.models.photographs import EDGE, FORMATS, GREY, encoded, noise

fuzz = settings(max_examples=150, deadline=None, derandomize=True)
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
