"""Photographs of every format, small and written on the spot."""

import io
import struct
import zlib

import numpy as np

from models.images import Preprocessing, decode

EDGE = 24
GREY = Preprocessing(size=EDGE, channels=1)
COLOUR = Preprocessing(size=EDGE, channels=3)
FORMATS = ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000", "AVIF"]


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def noise(size=EDGE, channels=None, seed=0):
    shape = (size, size) if channels is None else (size, size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(size=EDGE):
    """Lossy formats keep this within a few grey levels; no two of its corners are alike."""
    rows, columns = np.mgrid[0:size, 0:size] / (size - 1)
    return (20 + 150 * rows + 60 * columns).astype(np.uint8)


def grey(data):
    return decode(data, GREY)[0].numpy()


def png(width, height, bits=8, kind=0, rows=b""):
    """A PNG written by hand, so that its header can say anything."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
