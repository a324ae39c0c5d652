"""Twins: the same light in 8 bits and in more must give the same pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from models.errors import UnreadableImage
from models.images import BitsInUse, Preprocessing, bits_in_use, decode
from models.images.depth import bits_of, together
from tests.models.photographs import EDGE, encoded, noise, smooth

BITS = [8, 10, 12, 14, 16]


def wide(bits, twin=None):
    """A photograph of so many bits in 16."""
    return (noise() if twin is None else twin).astype(np.uint16) << (bits - 8)


def stored(values, kind="PNG", **options):
    return encoded(Image.fromarray(values), kind, **options)


def found(data, *, of_data_set=False, **form):
    return decode(data, Preprocessing(EDGE, **form), of_data_set=of_data_set)[0].numpy()


def refused(data, **form):
    with pytest.raises(UnreadableImage) as error:
        decode(data, Preprocessing(EDGE, **form))
    return str(error.value)


def with_sbit(data, bits):
    """A PNG with a chunk that says how many bits its values really have."""
    body = b"sBIT" + bytes([bits])
    chunk = struct.pack(">I", 1) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk + data[33:]


def tiff(values, **tags):
    """A TIFF with further tags by number."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for name, (number, kind) in tags.items():
        tag = {"largest": 281, "s_largest": 341, "photometric": 262}[name]
        directory.tagtype[tag] = kind
        directory[tag] = number
    return stored(values, "TIFF", tiffinfo=directory)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", BITS)
def test_a_twin_of_more_bits_has_the_pixels_of_the_one_of_8(bits, kind):
    data = stored(wide(bits), kind)
    known = bits_in_use([data])
    assert known.bits == bits
    assert np.array_equal(found(data, bits=known.bits), noise())
    spread = np.round(noise() / 255 * (2**bits - 1)).astype(np.uint16)  # up to white itself
    assert np.array_equal(found(stored(spread, kind), bits=bits), noise())


@pytest.mark.parametrize("bits", [9, 10, 11, 12, 13, 14])
def test_what_uses_fewer_bits_than_a_version_of_8_can_know_is_refused(bits):
    values = noise().astype(int) * (2**bits - 1) // 255
    said = refused(stored(values.astype(np.uint16)), bits=8)
    assert said.startswith(f"{bits} of 16 bits used, the castings that the model was trained on")
    assert "save it as 8 bit" in said


def test_all_16_bits_are_as_8_for_a_version_of_8():
    assert np.array_equal(found(stored(wide(16)), bits=8), noise())


def test_an_image_of_another_depth_than_the_castings_is_refused():
    assert "16 of 16 bits used" in refused(stored(wide(16)), bits=12, least_bits=12)
    assert "12 of 16 bits used" in refused(stored(wide(12)), bits=16, least_bits=15)
    assert "use 15 to 16;" in refused(stored(wide(12)), bits=16, least_bits=15)
    dark = stored(wide(12, noise() // 2))
    assert np.array_equal(found(dark, bits=12, least_bits=12), noise() // 2)
    assert "10 of 16 bits" in refused(stored(wide(12, noise() // 4)), bits=12, least_bits=12)
    before = found(stored(wide(12, smooth())), bits=16)
    assert np.array_equal(before, smooth() >> 4)  # of a version that nobody looked for


def test_of_a_data_set_nothing_is_refused_or_cut_off():
    for bits in (12, 16):
        pixels = found(stored(wide(bits)), of_data_set=True, bits=8)
        assert np.array_equal(pixels, noise()), bits


def test_a_files_own_word_counts_first():
    for bits in (10, 12, 14):
        for form in ({"bits": 8}, {"bits": 16, "least_bits": 16}):
            largest = 2**bits - 1
            for data in (
                with_sbit(stored(wide(bits)), bits),
                tiff(wide(bits), s_largest=(largest, 3)),
                tiff(wide(bits), largest=(largest, 3)),
            ):
                assert np.array_equal(found(data, **form), noise())
        assert bits_in_use([with_sbit(stored(wide(bits)), bits)]).bits == bits


def test_a_file_is_not_believed_what_its_pixels_contradict():
    scaled_up = with_sbit(stored(wide(16)), 12)  # as the standard of PNG has it
    assert np.array_equal(found(scaled_up, bits=8), noise())
    assert np.array_equal(found(tiff(wide(16), s_largest=(4095, 3))), noise())
    described = tiff(wide(16, noise() // 2), s_largest=(32_512, 3))  # the picture's own largest
    assert np.array_equal(found(described), noise() // 2)


def test_the_largest_value_of_all_castings_decides_and_the_darkest_is_remembered():
    castings = [stored(wide(12, noise() // share)) for share in (1, 2, 8)]
    assert bits_in_use(castings) == BitsInUse(12, 9)
    assert bits_in_use([stored(noise()), b"no image", stored(wide(10))]) == BitsInUse(10, 10)
    assert bits_in_use([stored(noise())]) == bits_in_use([]) == BitsInUse(8, 0)
    assert bits_in_use([stored(wide(16, noise() // 2))]) == BitsInUse(16, 15)
    assert together([None, bits_of(castings[1])]) == BitsInUse(12, 11)  # no camera has 11


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_min_is_white_is_turned_round(bits):
    light = smooth().astype(np.uint16)
    white = 2**bits - 1
    kind = np.uint8 if bits == 8 else np.uint16
    values = (white - (light << (bits - 8))).astype(kind)
    data = directory(8, 1, values.tobytes(), 0) if bits == 8 else tiff(values, photometric=(0, 3))
    pixels = found(data, bits=bits)
    assert np.abs(pixels.astype(int) - light).max() <= 1


def packed_12(values):
    """A TIFF of 12 bits a pixel, two pixels in three bytes, written by hand."""
    rows = values.astype(int)
    first, second = rows[:, ::2], rows[:, 1::2]
    three = [first >> 4, (first & 15) << 4 | second >> 8, second & 255]
    pixels = np.stack(three, axis=2).astype(np.uint8).tobytes()
    return directory(12, 1, pixels)


def directory(bits, sample_format, pixels, photometric=1):
    tags = {
        256: EDGE,
        257: EDGE,
        258: bits,
        259: 1,
        262: photometric,
        273: 8 + 2 + 12 * 11 + 4,
        277: 1,
    }
    tags |= {278: EDGE, 279: len(pixels), 284: 1, 339: sample_format}
    entries = b"".join(struct.pack("<HHII", n, 4, 1, tags[n]) for n in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + pixels


def test_packed_pixels_are_read_or_refused_with_the_way_out():
    assert np.array_equal(found(packed_12(wide(12)), bits=8), noise())
    for bits in (10, 14):
        said = refused(directory(bits, 1, bytes(EDGE * EDGE * 2)))
        assert said == f"a TIFF of {bits} bits a pixel is not read; save it as 8 or 16 bit"


def test_signed_and_32_bit_pixels_are_read_where_they_fit_in_16_bits_else_refused():
    light = noise().astype(np.int32)
    assert np.array_equal(found(stored(light << 8, "TIFF")), noise())
    for values in (light - 1, light << 9):
        assert "values from" in refused(stored(values.astype(np.int32), "TIFF"))
    signed = (light << 7).astype(np.int16)
    assert np.array_equal(found(directory(16, 2, signed.tobytes())), noise() >> 1)
    assert "from -300 to" in refused(directory(16, 2, (signed - 300).astype("<i2").tobytes()))
    assert "signed 8-bit" in refused(directory(8, 2, noise().tobytes()))


def colour_png(values):
    """A PNG of 16 bits in each of three channels, which Pillow does not write."""
    rows = np.repeat(values[..., None], 3, axis=2).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", EDGE, EDGE, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_colour_of_16_bits_is_read_where_all_are_used_else_refused():
    assert np.array_equal(found(colour_png(wide(16))), noise())
    for form in ({"bits": 8}, {"bits": 12}, {"bits": 16}):
        said = refused(colour_png(wide(12)), **form)
        assert said.startswith("12 of 16 bits used in a colour image")
        assert "8 bits a channel" in said


def test_floating_point_is_refused_whatever_its_range():
    buffer = io.BytesIO()
    Image.fromarray(noise().astype(np.float32)).save(buffer, "TIFF")
    assert "floating-point" in refused(buffer.getvalue())
