"""Images of every kind, and things that are none, made of one small grey photograph."""

import io
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
from PIL import Image

EDGE = 40
GREY = np.random.default_rng(0).integers(0, 256, (EDGE, EDGE), dtype=np.uint8)


def image(array: np.ndarray, kind: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """What Pillow alone makes of it."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def rotated(kind: str, **options: Any) -> tuple[bytes, np.ndarray]:
    """A photograph whose EXIF says that the camera stood on its side, and the upright one."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = image(GREY, kind, exif=exif, **options)
    return stored, np.rot90(decoded(image(GREY, kind, **options)), -1)


def cmyk(kind: str) -> bytes:
    black = np.dstack([np.zeros((EDGE, EDGE, 3), np.uint8), 255 - GREY])
    file = io.BytesIO()
    Image.frombytes("CMYK", (EDGE, EDGE), black.tobytes()).save(file, kind)
    return file.getvalue()


def animated(kind: str, **options: Any) -> bytes:
    more = [Image.fromarray(255 - GREY), Image.fromarray(GREY.T.copy())]
    return image(GREY, kind, save_all=True, append_images=more, **options)


def see_through() -> tuple[bytes, np.ndarray]:
    alpha = np.where(np.arange(EDGE) < EDGE // 2, 255, 0).astype(np.uint8) + 0 * GREY
    return image(np.dstack([GREY, GREY, GREY, alpha])), np.where(alpha, GREY, 0).astype(np.uint8)


def claiming(width: int, height: int) -> bytes:
    """A PNG of 40 x 40 pixels whose header says otherwise."""
    data = image(GREY)
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../a.png", image(GREY))
    return file.getvalue()


def tiff_tile(edge: int) -> bytes:
    tags = {256: 9, 257: 9, 258: 8, 259: 8, 262: 1, 277: 1, 322: edge, 323: edge, 324: 8, 325: 9}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
