"""Bytes of a photograph → pixels: upright, 8 bits, in the mode and the size that are wanted.

Pixels stay 8-bit until `normalise`; an image that has the model's size and mode already passes
through unchanged.
"""

import io
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image
from torch import Tensor

from models.errors import UnreadableImage
from models.images.contrast import check_contrast
from models.images.depth import WIDE, Depth, depth_of, min_is_white, tiles
from models.images.limits import MAX_PIXELS
from models.images.preprocessing import EIGHT, Preprocessing
from models.images.reading import reading

_GREY = frozenset({"1", "L", "LA", "La", "I", "F", *WIDE})
_PROBE = 64  # pixels a side that are left at the least
_TINT = 16  # levels that channels differ by; less is the noise of JPEG
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation


def decode(
    data: bytes,
    preprocessing: Preprocessing,
    max_pixels: int = MAX_PIXELS,
    *,
    of_data_set: bool = False,
) -> Tensor:
    """Read one photograph as uint8 `[channels, size, size]`.

    EXIF orientation is honoured, 16 bits are scaled by those in use (`models.images.depth`) rather
    than clipped, alpha is laid over black unless it is 0 everywhere, of an animation the first
    frame counts. Of a larger photograph, whole blocks of pixels are averaged first, in a JPEG
    while it is decoded, and the rest is resampled bilinearly.

    A casting `of_data_set` was looked at before, among all others: whether it shows anything, and
    how many bits it uses, is not asked again.

    Raises:
        UnreadableImage: no image format that we read, damaged, of more than `max_pixels`, without
            contrast, or of another bit depth than those that `preprocessing` was decided on.
    """
    mode = "L" if preprocessing.channels == 1 else "RGB"
    with reading(data, max_pixels) as image:
        longest = max(image.size)  # decoding may change it
        flat, depth = _flat(image, data, mode, preprocessing)
        if not of_data_set:
            _check_depth(depth, preprocessing, more_than=EIGHT)  # in fewer a frame shows nothing
            check_contrast(flat, image.format, longest)
            _check_depth(depth, preprocessing)
        pixels = torch.from_numpy(np.array(_fitted(flat, preprocessing)))
    edge = (preprocessing.size, preprocessing.size)
    return pixels.reshape(*edge, preprocessing.channels).permute(2, 0, 1).contiguous()


def check_image(data: bytes, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse what can be a casting of no data set, whatever bits that one uses.

    Raises:
        UnreadableImage: as `decode` raises it, but for the depth that others have.
    """
    with reading(data, max_pixels) as image:
        longest = max(image.size)
        flat, _ = _flat(image, data, "L", Preprocessing(_PROBE, bits=EIGHT))
        check_contrast(flat, image.format, longest)


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


def upright(
    data: bytes, edge: int, preprocessing: Preprocessing, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Read one photograph for people: uint8 `[height, width, 3]`, the longer side `edge` long.

    It is in colour and keeps its shape, on a square where `preprocessing` pads it, so that a map
    of what the network saw fits it; else of that only the bits count.
    """
    with reading(data, max_pixels) as image:
        flat, _ = _flat(image, data, "RGB", preprocessing, edge)
        if preprocessing.fit == "pad":
            return np.asarray(_fitted(flat, replace(preprocessing, size=edge, channels=3)))
        scale = edge / max(flat.size)
        width, height = (max(1, round(side * scale)) for side in flat.size)
        return np.asarray(flat.resize((width, height), Image.Resampling.BILINEAR))


def is_colour(data: bytes) -> bool:
    """Whether the channels of this photograph differ; false for grey stored as RGB.

    Only a file that has channels is decoded, and small.
    """
    with reading(data, MAX_PIXELS) as image:
        if image.mode in _GREY:
            return False
    pixels = decode(data, Preprocessing(size=64, channels=3), of_data_set=True)
    red, green, blue = pixels.int()
    return bool(((red - green).abs().max() > _TINT) | ((green - blue).abs().max() > _TINT))


def count_pixels(data: bytes) -> int:
    """The pixels of a photograph by its header; 0 where it cannot be read."""
    try:
        with reading(data, MAX_PIXELS) as image:
            return image.width * image.height
    except UnreadableImage:
        return 0


def _check_depth(depth: Depth | None, preprocessing: Preprocessing, more_than: int = -1) -> None:
    if depth is not None and depth.used > more_than:
        depth.check(preprocessing)


def _fitted(flat: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """The square that the network sees."""
    left, top, width, height = preprocessing.place(*flat.size)
    if flat.size != (width, height):
        flat = flat.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.0)
    edge = (preprocessing.size, preprocessing.size)
    if flat.size == edge:
        return flat
    margin = preprocessing.margin
    square = Image.new(flat.mode, edge, margin if len(margin) > 1 else margin[0])
    square.paste(flat, (left, top))
    return square


def _flat(
    image: Image.Image,
    data: bytes,
    mode: str,
    preprocessing: Preprocessing,
    edge: int | None = None,
) -> tuple[Image.Image, Depth | None]:
    """The upright pixels; a JPEG's are averaged in blocks of 2, 4 or 8 while it is decoded.

    No more than leaves `edge` of them, and only in whole blocks: what a cut one is filled up with
    would stretch the photograph.
    """
    edge, blocks = edge or preprocessing.size, 8
    while blocks > 1 and (min(image.size) < blocks * edge or any(s % blocks for s in image.size)):
        blocks //= 2
    image.draft(mode, (image.width // blocks, image.height // blocks))
    image.load()
    depth = depth_of(image, data)
    white = EIGHT if depth is None else depth.white(preprocessing)
    return _upright(_eight_bit(image, mode, white), image), depth


def _upright(flat: Image.Image, original: Image.Image) -> Image.Image:
    try:
        orientation = original.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 -- whatever Pillow raises for damaged tags; the pixels are sound
        return flat
    method = _UPRIGHT.get(orientation)
    return flat if method is None else flat.transpose(method)


def _eight_bit(image: Image.Image, mode: str, bits: int) -> Image.Image:
    """Convert tile by tile: at 100 megapixels the steps in between take 2 GB as a whole."""
    if image.mode == mode and not image.has_transparency_data:
        return image
    inverted = min_is_white(image)
    shown = image.has_transparency_data and any(
        tile.convert("RGBA").getchannel("A").getbbox() for _, tile in tiles(image)
    )
    flat = Image.new(mode, image.size)
    for box, tile in tiles(image):
        if tile.mode in WIDE:
            eight = (np.asarray(tile).astype(np.int32) >> (bits - EIGHT)).astype(np.uint8)
            converted = Image.fromarray(255 - eight if inverted else eight).convert(mode)
        else:
            converted = _over_black(tile, mode) if shown else _without_alpha(tile, mode)
        flat.paste(converted, box)
    return flat


def _over_black(tile: Image.Image, mode: str) -> Image.Image:
    rgba = tile.convert("RGBA")
    black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, rgba).convert(mode)


def _without_alpha(tile: Image.Image, mode: str) -> Image.Image:
    """What lies under an alpha of 0 everywhere, which is no alpha."""
    if tile.has_transparency_data:
        tile = tile.convert("RGBA").convert("RGB")
    return tile.convert(mode)
