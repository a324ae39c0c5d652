"""A casting under its map: the more a cell speaks for the class, the more orange it is.

Orange of growing opacity is told from grey metal with any colour vision (Okabe & Ito 2008), and
leaves what lies under it to be seen. The scale is one and the same for all castings: no colour at
log odds of 0 or less, full colour from `FULL` on. A casting that nothing speaks against stays as
it is, where a scale from each map's least to its highest value would colour it all the same. A
ring marks the highest cell, wholly inside the picture; where nothing speaks for the class, none.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from models.prediction.class_activation_map import STRIDE, Explanation, nearest_cells

FULL = 100.0  # log odds; the highest cell of a plain defect has about as many
_ORANGE = np.array([230.0, 97.0, 0.0])
_OPACITY = 0.65
_RING = 1.0  # cells from its middle


def lay_over(photo: NDArray[np.uint8], explanation: Explanation, size: int) -> Image.Image:
    """The picture of a photograph `[height, width, 3]`, which the network saw at edge `size`."""
    height, width, _ = photo.shape
    rows, columns = nearest_cells(height, size), nearest_cells(width, size)
    strength = (explanation.log_odds_HW.clamp(0, FULL) / FULL)[rows][:, columns].numpy()
    opacity = _OPACITY * strength[..., None]
    coloured = (photo * (1 - opacity) + _ORANGE * opacity).round().astype(np.uint8)
    picture = Image.fromarray(coloured)
    if strength.max() > 0:
        _draw_ring(picture, explanation.peak, _RING * STRIDE / size)
    return picture


def _draw_ring(picture: Image.Image, middle: tuple[float, float], radius: float) -> None:
    """Middle and radius in shares of each side; what would lie outside is moved in."""
    radius = min(radius, 0.5)
    x, y = (min(max(place, radius), 1 - radius) for place in middle)
    across, down = radius * (picture.width - 1), radius * (picture.height - 1)
    x, y = x * (picture.width - 1), y * (picture.height - 1)
    for colour, line in (("black", 5), ("white", 3)):
        box = (x - across, y - down, x + across, y + down)
        ImageDraw.Draw(picture).ellipse(box, outline=colour, width=line)


def png(picture: Image.Image) -> bytes:
    """Encode a picture, fast rather than small."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
