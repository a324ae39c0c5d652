"""Bytes of a photograph → pixels at the model's size: the only decoder and the only resize.

Training, service, packed model and benchmarks all come through here, so that a casting looks
the same to each of them. Pixels stay 8-bit until `normalise`; an image that has the model's size
and mode already passes through unchanged.
"""

import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile
from torch import Tensor

from models.errors import UnreadableImage

SUFFIXES = frozenset(
    {
        *(
            ".jpg",
            ".jpeg",
            ".jpe",
            ".jfif",
            ".png",
            ".bmp",
            ".dib",
            ".tif",
            ".tiff",
            ".webp",
            ".gif",
        ),
        *(".pgm", ".ppm", ".pnm", ".pbm", ".jp2", ".j2k", ".avif"),
    }
)
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000", "AVIF")
MAX_PIXELS = 100_000_000  # Pillow itself refuses from 178,956,971 on

_JPEG = b"\xff\xd8\xff"
_PNM, _PLAIN_PNM = (
    re.compile(rb"P[4-6](?:(?:\s|#[^\r\n]*[\r\n])+\d+){2,3}\s"),
    (b"P1", b"P2", b"P3"),
)
_PNM_HEADER = 1024  # bytes; Pillow reads one byte by byte, however long its comments are
_LARGE = 4_000_000  # pixels; of photographs above, two are read at a time, whatever the threads
_FEW = threading.BoundedSemaphore(2)
_OPENING = threading.Lock()  # `catch_warnings` is not safe among threads

_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_SIXTEEN_TO_EIGHT = 257  # 65535 / 255
_TILE = 1024  # edge in pixels; conversions copy a photograph of any size no more than this at once
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a photograph before the network sees it; part of every model version.

    It is stretched to a square, and of each channel `mean` taken from pixels in 0..1 before `std`
    divides them.
    """

    size: int = 128
    channels: int = 1  # grey; 3 for colour
    mean: tuple[float, ...] = (0.45,)  # one for all channels, or one for each
    std: tuple[float, ...] = (0.25,)


def decode(data: bytes, preprocessing: Preprocessing, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Read one photograph as uint8 `[channels, size, size]`.

    EXIF orientation is honoured, 16-bit grey is scaled rather than clipped, alpha is laid over
    black, of an animation the first frame counts. Of a larger photograph, whole blocks of pixels
    are averaged first, in a JPEG while it is decoded, and the rest is resampled bilinearly.

    Raises:
        UnreadableImage: no image format that we read, damaged, or of more than `max_pixels`.
    """
    mode = "L" if preprocessing.channels == 1 else "RGB"
    edge = (preprocessing.size, preprocessing.size)
    with _reading(data, max_pixels) as image:
        flat = _flat(image, mode, preprocessing.size)
        if flat.size != edge:
            flat = flat.resize(edge, Image.Resampling.BILINEAR, reducing_gap=1.0)
        pixels = torch.from_numpy(np.array(flat))
    return pixels.reshape(*edge, preprocessing.channels).permute(2, 0, 1).contiguous()


def at_model_size(data: bytes, preprocessing: Preprocessing) -> bytes:
    """A BMP of the very pixels that `decode` makes of a photograph, to send in its place.

    To compress them would take longer than to send them. A photograph that takes fewer bytes than
    its pixels stays as it is, and one that cannot be read too: whoever receives it says why.
    """
    if len(data) <= preprocessing.channels * preprocessing.size**2:
        return data
    try:
        pixels = decode(data, preprocessing)
    except UnreadableImage:
        return data
    file = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).squeeze(2).numpy()).save(file, "BMP")
    return file.getvalue()


def upright(data: bytes, edge: int, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read one photograph for people: uint8 `[height, width, 3]`, the longer side `edge` long."""
    with _reading(data, max_pixels) as image:
        flat = _flat(image, "RGB", edge)
        scale = edge / max(flat.size)
        width, height = (max(1, round(side * scale)) for side in flat.size)
        return np.asarray(flat.resize((width, height), Image.Resampling.BILINEAR))


def is_colour(data: bytes) -> bool:
    """Whether the channels of this photograph differ; false for grey stored as RGB."""
    red, green, blue = decode(data, Preprocessing(size=64, channels=3)).int()
    return bool(((red - green).abs().max() > 16) | ((green - blue).abs().max() > 16))  # noqa: PLR2004 -- JPEG noise


def normalise(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Turn uint8 `[N, channels, size, size]` into the network's float32 input."""
    mean, std = (
        torch.tensor(v).reshape(-1, 1, 1) for v in (preprocessing.mean, preprocessing.std)
    )
    return pixels.float().div_(255).sub_(mean.to(pixels.device)).div_(std.to(pixels.device))


@contextmanager
def _reading(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    if not data:
        raise UnreadableImage("empty file")
    try:
        with _open(data) as image:
            _check_size(image, max_pixels)
            with _FEW if image.width * image.height > _LARGE else nullcontext():
                yield image
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"more pixels than the {max_pixels} allowed") from error
    except UnidentifiedImageError as error:
        raise UnreadableImage(f"not an image of a kind we read ({', '.join(FORMATS)})") from error
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged bytes
        raise UnreadableImage(f"damaged or truncated: {error}") from error


def _open(data: bytes) -> Image.Image:
    """Read the header alone; Pillow's warnings about it are ours to judge (`_check_size`).

    A JPEG has no need of them, nor of waiting for others to be silenced.

    Raises:
        UnreadableImage: a PNM that takes seconds a megapixel.
    """
    if data.startswith(_JPEG):
        return JpegImageFile(io.BytesIO(data))
    if data.startswith(_PLAIN_PNM):
        raise UnreadableImage("a PNM of plain text; save it in binary (P5 or P6)")
    formats = [f for f in FORMATS if f != "PPM" or _PNM.match(data[:_PNM_HEADER])]
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(data), formats=formats)


def _check_size(image: Image.Image, max_pixels: int) -> None:
    for width, height in (image.size, _tile_size(image)):
        if width * height > max_pixels:
            raise UnreadableImage(
                f"{width} x {height} is {width * height} pixels, more than the {max_pixels} "
                "allowed"
            )


def _tile_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of a TIFF's tiles: libtiff takes memory for one however small the image."""
    if not isinstance(image, TiffImageFile) or ExifTags.Base.TileWidth not in image.tag_v2:
        return 0, 0
    tags = image.tag_v2
    rows = tags.get(ExifTags.Base.TileLength, tags.get(ExifTags.Base.RowsPerStrip, 0))
    return int(tags[ExifTags.Base.TileWidth]), int(rows)


def _flat(image: Image.Image, mode: str, edge: int) -> Image.Image:
    """The upright pixels; a JPEG's are averaged in blocks of 2, 4 or 8 while it is decoded.

    No more than leaves `edge` of them, and only in whole blocks: what a cut one is filled up with
    would stretch the photograph.
    """
    blocks = 8
    while blocks > 1 and (min(image.size) < blocks * edge or any(s % blocks for s in image.size)):
        blocks //= 2
    image.draft(mode, (image.width // blocks, image.height // blocks))
    image.load()
    return _upright(_eight_bit(image, mode), image)


def _upright(flat: Image.Image, original: Image.Image) -> Image.Image:
    try:
        orientation = original.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 -- whatever Pillow raises for damaged tags; the pixels are sound
        return flat
    method = _UPRIGHT.get(orientation)
    return flat if method is None else flat.transpose(method)


def _eight_bit(image: Image.Image, mode: str) -> Image.Image:
    """Convert tile by tile: at 100 megapixels the steps in between take 2 GB as a whole."""
    if image.mode == "F":
        raise UnreadableImage("floating-point pixels have no agreed range; save it as 16 bit")
    if image.mode == mode and not image.has_transparency_data:
        return image
    width, height = image.size
    flat = Image.new(mode, image.size)
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            box = (left, top, min(left + _TILE, width), min(top + _TILE, height))
            flat.paste(_convert(image.crop(box), mode), box)
    return flat


def _convert(tile: Image.Image, mode: str) -> Image.Image:
    if tile.mode in _SIXTEEN_BIT:
        wide = np.asarray(tile).astype(np.int64).clip(0, 65535)
        return Image.fromarray((wide // _SIXTEEN_TO_EIGHT).astype(np.uint8)).convert(mode)
    if tile.has_transparency_data:
        rgba = tile.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert(mode)
    return tile.convert(mode)
