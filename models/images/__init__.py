"""Bytes of a photograph → pixels at the model's size: the only decoder and the only resize.

Training, service, packed model and benchmarks all come through here, so that a casting looks
the same to each of them.
"""

from models.images.decoding import (
    at_model_size,
    check_image,
    count_pixels,
    decode,
    is_colour,
    upright,
)
from models.images.depth import BitsInUse, bits_in_use
from models.images.limits import MAX_PIXELS
from models.images.preprocessing import FITS, Preprocessing, normalise
from models.images.reading import FORMATS, SUFFIXES

__all__ = [
    "FITS",
    "FORMATS",
    "MAX_PIXELS",
    "SUFFIXES",
    "BitsInUse",
    "Preprocessing",
    "at_model_size",
    "bits_in_use",
    "check_image",
    "count_pixels",
    "decode",
    "is_colour",
    "normalise",
    "upright",
]
