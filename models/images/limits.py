"""What a file may cost: looked at in its bytes and its header, before anything is decoded.

A few bytes can ask for much: a JPEG goes over all its pixels once a scan, Pillow walks over every
chunk of a PNG in Python, and the canvas of a WebP takes memory however little lies on it.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Literal

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

from models.errors import UnreadableImage

MAX_PIXELS = 100_000_000  # Pillow itself refuses from 178,956,971 on
MAX_EDGE = 65_535  # pixels, the longest side that a JPEG can have; line scans have long ones
MAX_SCANS = 64  # of a JPEG; progressive ones have about 10, tuned ones rarely 30
_ALWAYS_ALLOWED = 1000  # pieces of a file, and one more for each KiB of it: IDAT mostly has 8
_TAGS = 1000  # in the directory of a TIFF, where a few dozen are usual

JPEG, PNG, GIF = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8"
BIG_TIFF = (b"II+\0", b"MM\0+")
TIFF = (b"II*\0", b"MM\0*", *BIG_TIFF)
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # but for what stands for data, and restarts
_START_OF_SCAN, _END = 0xDA, 0xD9
_GIF_HEADER = 13  # bytes, and behind it a palette where the flags say so
_ALONE = frozenset({0x01, 0xD8})  # markers without a length


def check_bytes(data: bytes) -> None:
    """Refuse a file that consists of too many pieces, by walking over no more than allowed.

    Raises:
        UnreadableImage: it says how many there are, or how many are allowed.
    """
    if data.startswith(JPEG):
        scans = sum(marker == _START_OF_SCAN for marker in _counted(data, "segments", _jpeg(data)))
        if scans > MAX_SCANS:
            raise UnreadableImage(
                f"{scans} scans in a JPEG, more than the {MAX_SCANS} allowed; save it anew"
            )
    elif data.startswith(PNG):
        for _ in _counted(data, "chunks", png_chunks(data)):
            pass
    elif data.startswith(GIF):
        for _ in _counted(data, "blocks", _gif_blocks(data)):
            pass
    elif data.startswith(TIFF):
        _check_directory(data)


def check_size(image: Image.Image, max_pixels: int) -> None:
    """Refuse by its header an image that is too long or has too many pixels.

    Raises:
        UnreadableImage: it says so with the numbers.
    """
    width, height = image.size
    if max(width, height) > MAX_EDGE:
        raise UnreadableImage(
            f"{width} x {height}: a side is longer than the {MAX_EDGE} pixels allowed"
        )
    for across, down in (image.size, _tile_size(image)):
        if across * down > max_pixels:
            raise UnreadableImage(
                f"{across} x {down} is {across * down} pixels, more than the {max_pixels} allowed"
            )


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start of the content and its length in bytes, of each chunk of a PNG."""
    at = len(PNG)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], at + 8, length
        at += 12 + length


def _jpeg(data: bytes) -> Iterator[int]:
    """The markers of a JPEG up to its end; entropy-coded data is skipped by a search."""
    at = 2
    while found := _MARKER.search(data, at):
        marker = found[1][0]
        if marker == _END:
            return
        yield marker
        at = found.end()
        if marker not in _ALONE:
            at += max(2, int.from_bytes(data[at : at + 2]))


def _gif_blocks(data: bytes) -> Iterator[int]:
    """Lengths of the blocks in front of the first picture of a GIF."""
    flags = data[10] if len(data) >= _GIF_HEADER else 0
    at = _GIF_HEADER + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
    while data[at : at + 1] == b"!":
        at += 2
        while at < len(data):
            length = data[at]
            yield length
            at += 1 + length
            if not length:
                break


def _counted(data: bytes, what: str, pieces: Iterator[object]) -> Iterator[object]:
    allowed = _ALWAYS_ALLOWED + len(data) // 1024
    yield from islice(pieces, allowed)
    if next(pieces, None) is not None:
        raise UnreadableImage(
            f"more than {allowed} {what} in {len(data)} bytes; no program writes that many"
        )


def _check_directory(data: bytes) -> None:
    """Count the tags in the first directory of a TIFF, or of a BigTIFF of 64-bit numbers."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    at, width, count = (8, 8, 8) if data.startswith(BIG_TIFF) else (4, 4, 2)
    first = int.from_bytes(data[at : at + width], order)
    tags = int.from_bytes(data[first : first + count], order)
    if tags > _TAGS:
        raise UnreadableImage(f"{tags} tags in a TIFF, more than the {_TAGS} allowed")


def _tile_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of a TIFF's tiles: libtiff takes memory for one however small the image."""
    if not isinstance(image, TiffImageFile) or ExifTags.Base.TileWidth not in image.tag_v2:
        return 0, 0
    tags = image.tag_v2
    rows = tags.get(ExifTags.Base.TileLength, tags.get(ExifTags.Base.RowsPerStrip, 0))
    return int(tags[ExifTags.Base.TileWidth]), int(rows)
