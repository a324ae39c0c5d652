"""A casting under its map: the more a cell speaks for a defect, the more orange it is.

Orange of growing opacity is told from grey metal with any colour vision (Okabe & Ito 2008), and
leaves what lies under it to be seen. The scale is one and the same for all castings: no colour at
log odds of 0 or less, full colour from `FULL` on. A casting that nothing speaks against stays as
it is, where a scale from each map's least to its highest value would colour it all the same.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from models.explanation import nearest_cells

FULL = 20.0  # log odds
_ORANGE = np.array([230.0, 97.0, 0.0])
_OPACITY = 0.65


def lay_over(photo: NDArray[np.uint8], evidence_HW: Tensor, size: int) -> NDArray[np.uint8]:
    """The picture, uint8 `[height, width, 3]`; cells are drawn as the squares that they are.

    Args:
        photo: uint8 `[height, width, 3]`.
        evidence_HW: log odds of each cell (`models.explanation`).
        size: edge of the network's input, to which the photograph was stretched.
    """
    height, width, _ = photo.shape
    rows, columns = nearest_cells(height, size), nearest_cells(width, size)
    strength = (evidence_HW.clamp(0, FULL) / FULL)[rows][:, columns].numpy()
    opacity = _OPACITY * strength[..., None]
    return (photo * (1 - opacity) + _ORANGE * opacity).round().astype(np.uint8)


def png(picture: NDArray[np.uint8]) -> bytes:
    """Encode a picture, fast rather than small."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
