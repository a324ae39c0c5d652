"""How many bits of a photograph are in use, and which value is white.

A camera of 12 bits mostly writes them into 16, where white is 4,095 and looks like black. What a
file says of itself counts first: TIFF's BitsPerSample, SMaxSampleValue and MaxSampleValue where
they are the end of a range (2 ** bits - 1, else they only describe the picture), PNG's sBIT. A
file that has larger values than it says is not believed. Where none says it, the largest value of
all castings does, rounded up to an even number of bits as cameras have them: 8, 10, 12, 14 or 16.

White is the same for all castings of a data set, or a darker photograph would look as bright as
another. An image beyond it is not cut off: more than 14 bits can only be 16, and what lies in
between contradicts the castings that a model was trained on, as does what is far darker than the
darkest of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

from models.errors import UnreadableImage
from models.images.limits import MAX_PIXELS, PNG, png_chunks
from models.images.preprocessing import EIGHT, SIXTEEN, Preprocessing
from models.images.reading import reading

WIDE = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
TILE = 1024  # edge in pixels; conversions copy a photograph of any size no more than this at once
_LARGEST = 2**SIXTEEN - 1
_UNMISTAKABLE = 15  # from so many bits on, all 16 are meant
_DARKER = 1  # bit less than the darkest casting is no contradiction yet
_MAX_SAMPLE_VALUE, _S_MAX_SAMPLE_VALUE, _SIGNED = 281, 341, 2


class BitsInUse(NamedTuple):
    """What the 16-bit castings of a data set use; `Preprocessing` has the same fields."""

    bits: int  # that hold the largest value, even; 8 where there is none of 16 bits
    least_bits: int  # that hold the largest value of the darkest one; 0 where there is none


@dataclass(frozen=True)
class Depth:
    """The bits of one photograph of more than 8: how many it uses, and says that it has."""

    used: int
    said: int | None

    @property
    def believed(self) -> int | None:
        """What the file says, unless its pixels say otherwise."""
        return self.said if self.said is not None and self.used <= self.said else None

    def white(self, preprocessing: Preprocessing) -> int:
        """White is 2 ** this - 1; nothing lies above it."""
        if self.believed is not None:
            return self.believed
        if self.used <= preprocessing.bits:
            return preprocessing.bits
        return SIXTEEN if self.used >= _UNMISTAKABLE else _even(self.used)

    def check(self, preprocessing: Preprocessing) -> None:
        """Refuse what contradicts the castings that decided; UnreadableImage says both numbers."""
        bits, least = preprocessing.bits, preprocessing.least_bits
        if self.believed is not None:
            return
        if bits == EIGHT and self.used >= _UNMISTAKABLE:
            return  # the castings were of 8 bits, and this one is scaled as they were
        if self.used > bits or self.used < least - _DARKER:
            trained = f"{bits}" if least in {0, bits} else f"{least} to {bits}"
            raise UnreadableImage(
                f"{self.used} of 16 bits used, the castings that the model was trained on use "
                f"{trained}; save it as 8 bit, or with its bits in SMaxSampleValue (TIFF) or sBIT "
                f"(PNG)"
            )


def bits_in_use(images: Iterable[bytes]) -> BitsInUse:
    """How many bits the castings of a data set use, of the bytes of all those that are readable.

    Images of 8 bits say nothing and only cost a look at their header; each one of 16 is decoded.
    """
    return together(bits_of(data) for data in images)


def together(depths: Iterable[Depth | None]) -> BitsInUse:
    """What a data set of photographs of these depths uses; None for one of 8 bits."""
    wide = [depth for depth in depths if depth is not None]
    most = max((depth.believed or depth.used for depth in wide), default=EIGHT)
    bits = SIXTEEN if most >= _UNMISTAKABLE else max(EIGHT, _even(most))
    return BitsInUse(bits, min((depth.used for depth in wide), default=0))


def bits_of(data: bytes) -> Depth | None:
    """The depth of a file, None where it has 8 bits or cannot be read."""
    try:
        with reading(data, MAX_PIXELS) as image:
            return depth_of(image, data)
    except UnreadableImage:
        return None


def depth_of(image: Image.Image, data: bytes) -> Depth | None:
    """The depth of an image that is open, None for one of 8 bits; the image is decoded for it.

    Raises:
        UnreadableImage: signed, 32-bit or floating-point pixels, of which nothing says what is
            black and white, or a colour image of 16 bits that uses fewer.
    """
    if image.mode == "F":
        raise UnreadableImage("floating-point pixels have no agreed range; save it as 16 bit")
    stored, sign = _stored(image, data)
    if image.mode in WIDE:
        low, high = extremes(image)
        if low < 0 or high > _LARGEST:
            raise UnreadableImage(
                f"values from {low} to {high}: signed and 32-bit pixels have no agreed black and "
                f"white; save it as unsigned 16 bit"
            )
        return Depth(high.bit_length(), _said(image, data))
    if sign == _SIGNED and image.mode == "L" and extremes(image)[1] >= 2 ** (EIGHT - 1):
        raise UnreadableImage("negative values in signed 8-bit pixels; save it as unsigned 8 bit")
    if stored <= EIGHT:
        return None
    colours = image.split()[: _colour_bands(image.mode)]
    high = max(extremes(band)[1] for band in colours)
    used = EIGHT + high.bit_length()
    if used < _UNMISTAKABLE:
        raise UnreadableImage(
            f"{used} of 16 bits used in a colour image, of which the upper 8 are read; save it "
            f"with 8 bits a channel"
        )
    return None


def tiles(image: Image.Image) -> Iterator[tuple[tuple[int, int, int, int], Image.Image]]:
    """An image in pieces: the box and the piece of each."""
    width, height = image.size
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            box = (left, top, min(left + TILE, width), min(top + TILE, height))
            yield box, image.crop(box)


def extremes(image: Image.Image) -> tuple[int, int]:
    """The least and the largest value of an image of one band."""
    low, high = [], []
    for _, tile in tiles(image):
        values = np.asarray(tile)
        low.append(int(values.min()))
        high.append(int(values.max()))
    return min(low), max(high)


def min_is_white(image: Image.Image) -> bool:
    """Whether the largest value is black; of fewer than 16 bits Pillow turns that round itself."""
    photometric = ExifTags.Base.PhotometricInterpretation
    return (
        isinstance(image, TiffImageFile)
        and image.mode in WIDE
        and image.tag_v2.get(photometric, 0) == 0
    )


def _even(bits: int) -> int:
    return bits + bits % 2


def _colour_bands(mode: str) -> int:
    return {"LA": 1, "CMYK": 4}.get(mode, 3)


def _stored(image: Image.Image, data: bytes) -> tuple[int, int]:
    """Bits that each value takes in the file, and TIFF's SampleFormat."""
    if data.startswith(PNG):
        return data[24], 1
    if isinstance(image, TiffImageFile):
        bits = image.tag_v2.get(ExifTags.Base.BitsPerSample, (1,))
        return max(bits), max(image.tag_v2.get(ExifTags.Base.SampleFormat, (1,)))
    return EIGHT, 1


def _said(image: Image.Image, data: bytes) -> int | None:
    """The bits that a file says to have in 16, None where it does not."""
    if data.startswith(PNG):
        bits = _significant_bits(data)
    elif isinstance(image, TiffImageFile):
        stored = _stored(image, data)[0]
        bits = stored if stored < SIXTEEN else _range_of_samples(image)
    else:
        bits = 0
    return bits if EIGHT <= bits < SIXTEEN else None


def _significant_bits(data: bytes) -> int:
    """What sBIT says in front of the pixels of a PNG, 0 where it is missing."""
    for name, at, length in png_chunks(data):
        if name == b"sBIT" and length:
            return data[at] if at < len(data) else 0
        if name == b"IDAT":
            break
    return 0


def _range_of_samples(image: TiffImageFile) -> int:
    """The bits of the largest value that a TIFF names, where it is the end of a range, else 0."""
    for tag in (_S_MAX_SAMPLE_VALUE, _MAX_SAMPLE_VALUE):
        given = image.tag_v2.get(tag, 0)
        largest = int(max(given) if isinstance(given, tuple) else given)
        if largest == 2 ** largest.bit_length() - 1 and EIGHT <= largest.bit_length() < SIXTEEN:
            return largest.bit_length()
    return 0
