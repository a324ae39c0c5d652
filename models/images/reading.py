"""The header of a photograph, and whatever is wrong with a file as one error."""

import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from models.errors import UnreadableImage
from models.images.limits import BIG_TIFF, JPEG, TIFF, check_bytes, check_size

_JPEGS = {".jpg", ".jpeg", ".jpe", ".jfif"}
_NETPBM, _OTHERS = {".pgm", ".ppm", ".pnm", ".pbm"}, {".jp2", ".j2k", ".avif"}
_USUAL = {".png", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif"}
SUFFIXES = frozenset(_JPEGS | _USUAL | _NETPBM | _OTHERS)
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000", "AVIF")

_PNM = re.compile(rb"P[4-6](?:(?:\s|#[^\r\n]*[\r\n])+\d+){2,3}\s")
_PLAIN_PNM = (b"P1", b"P2", b"P3")
_PNM_HEADER = 1024  # bytes; Pillow reads one byte by byte, however long its comments are
_LARGE = 4_000_000  # pixels; of photographs above, two are read at a time, whatever the threads
_FEW = threading.BoundedSemaphore(2)
_OPENING = threading.Lock()  # `catch_warnings` is not safe among threads


@contextmanager
def reading(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """The image of a file, its header read and its cost known to be allowed.

    Raises:
        UnreadableImage: it is none, costs too much, or what is done with it fails.
    """
    if not data:
        raise UnreadableImage("empty file")
    check_bytes(data)
    try:
        with _open(data) as image:
            check_size(image, max_pixels)
            with _FEW if image.width * image.height > _LARGE else nullcontext():
                yield image
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"more pixels than the {max_pixels} allowed") from error
    except UnidentifiedImageError as error:
        reason = _unread_depth(data) or f"not an image of a kind we read ({', '.join(FORMATS)})"
        raise UnreadableImage(reason) from error
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged bytes
        raise UnreadableImage(f"damaged or truncated: {error}") from error


def _open(data: bytes) -> Image.Image:
    """Read the header alone; Pillow's warnings about it are ours to judge (`check_size`).

    A JPEG has no need of them, nor of waiting for others to be silenced.

    Raises:
        UnreadableImage: a PNM that takes seconds a megapixel.
    """
    if data.startswith(JPEG):
        return JpegImageFile(io.BytesIO(data))
    if data.startswith(_PLAIN_PNM):
        raise UnreadableImage("a PNM of plain text; save it in binary (P5 or P6)")
    formats = [f for f in FORMATS if f != "PPM" or _PNM.match(data[:_PNM_HEADER])]
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(data), formats=formats)


def _unread_depth(data: bytes) -> str | None:
    """Why a TIFF that is whole is not read: samples of 10 or 14 bits, packed, are not known."""
    if not data.startswith(TIFF):
        return None
    try:
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tags = ImageFileDirectory_v2(data[: 16 if data.startswith(BIG_TIFF) else 8])
            file = io.BytesIO(data)
            file.seek(tags.next)
            tags.load(file)
            bits = tags[ExifTags.Base.BitsPerSample]
    except Exception:  # noqa: BLE001 -- then it is damaged, or none
        return None
    return (
        f"a TIFF of {' + '.join(map(str, bits))} bits a pixel is not read; save it as 8 or 16 bit"
    )
