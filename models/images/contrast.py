"""Whether a photograph shows anything: lens cap, failed flash and saturation are no casting.

It is judged on 64 to 127 pixels along the shorter side (all, if there are fewer), where averaging
has taken most of a sensor's noise. A photograph has no contrast when its grey levels of 0 to 255

- deviate by less than `FLAT` from their mean: all black, all white; or
- deviate by less than `NOISE` while neighbours do not resemble each other: the correlation of a
  pixel with the next one, the mean of across and down, is below `ALIKE`. That of noise is about 0,
  that of castings that are lit so badly that they have levels 0 to 12 more than a half.

A JPEG turns noise into blocks of 8 x 8 pixels, a WebP into some of 16 x 16: there the neighbour is
so far away, but no more than an eighth of the shorter side.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.errors import UnreadableImage

FLAT = 0.4  # standard deviation, in levels of 255
NOISE = 6.0
ALIKE = 0.12
_EDGE = 64  # pixels that the shorter side is reduced to, or up to twice as many
_BLOCK = {"JPEG": 8, "WEBP": 16}  # pixels


def check_contrast(flat: Image.Image, kind: str | None, longest: int) -> None:
    """Refuse an 8-bit image, grey or colour, that shows nothing.

    It comes from a file of that `kind`, as Pillow calls it, whose longer side is `longest` pixels.

    Raises:
        UnreadableImage: its text begins with "no contrast".
    """
    factor = max(1, min(flat.size) // _EDGE)
    grey = flat.reduce(factor).convert("L") if factor > 1 else flat.convert("L")
    pixels = np.asarray(grey, dtype=np.float32)
    deviation = float(pixels.std())
    if deviation >= NOISE:
        return
    reduction = longest / max(grey.size)
    lag = max(1, min(round(_BLOCK.get(kind or "", 1) / reduction), min(grey.size) // 8))
    if deviation < FLAT or _likeness(pixels, lag) < ALIKE:
        raise UnreadableImage(
            f"no contrast: grey level {pixels.mean():.0f} of 255 all over, deviating by "
            f"{deviation:.1f}; was the lens covered, the light off, or too bright?"
        )


def _likeness(pixels_HW: NDArray[np.float32], lag: int) -> float:
    """Correlation of pixels `lag` apart, the mean of those across and down; 0 without any."""
    apart = pixels_HW - pixels_HW.mean()
    pairs = ((apart[:, lag:], apart[:, :-lag]), (apart[lag:], apart[:-lag]))
    products = [float((first * second).mean()) for first, second in pairs if first.size]
    return sum(products) / max(1, len(products)) / float(apart.var())
