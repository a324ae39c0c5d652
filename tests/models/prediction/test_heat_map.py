import io

import numpy as np
import torch
from PIL import Image

from models.prediction.class_activation_map import Explanation
from models.prediction.heat_map import FULL, lay_over, png

GREY = np.full((64, 128, 3), 100, np.uint8)


def explanation(cells, peak=(0.5, 0.5)):
    return Explanation(torch.tensor(cells), "def", "def", "ok", 0.9, peak)


def test_cells_that_speak_against_leave_the_casting_as_it_is():
    picture = lay_over(GREY, explanation([[-3.0, 0.0], [-9.0, -0.1]]), size=16)
    assert np.array_equal(np.asarray(picture), GREY)


def test_cells_are_as_orange_as_they_speak_for_the_class():
    cells = [[0.0, FULL / 2], [FULL, 3 * FULL]]
    pixels = np.asarray(lay_over(GREY, explanation(cells), size=16)).astype(int)
    (none, half), (full, more) = (pixels[row, [0, -1]] for row in (0, -1))
    assert none.tolist() == [100, 100, 100]
    assert full.tolist() == more.tolist()
    assert none[0] < half[0] < full[0]
    assert none[2] > half[2] > full[2]


def test_a_cell_lies_around_its_pixel_not_beside_it():
    cells = [[0.0] * 8 for _ in range(8)]
    cells[2][2] = FULL
    pixels = np.asarray(lay_over(GREY, explanation(cells, (0.9, 0.9)), size=64)).astype(int)
    rows, columns = np.nonzero(pixels[..., 0] > pixels[..., 2])
    assert (rows.min(), rows.max() + 1) == (12, 20)  # cell 2 lies at pixel 16 of 64, 8 wide
    assert (columns.min(), columns.max() + 1) == (24, 40)  # the photograph is twice as wide


def ring(peak, cells=((0.1,) * 8,) * 8):
    """Rows and columns of the white line."""
    pixels = np.asarray(lay_over(GREY, explanation(cells, peak), size=64))
    return np.nonzero((pixels == 255).all(axis=2))


def test_a_ring_marks_the_peak():
    rows, columns = ring((0.5, 0.5))
    assert abs(rows.mean() - 31.5) < 1
    assert abs(columns.mean() - 63.5) < 1


def test_a_ring_at_the_edge_is_moved_into_the_picture():
    rows, columns = ring((0.0, 1.0))
    inside_rows, inside_columns = ring((0.5, 0.5))
    assert abs(np.ptp(rows) - np.ptp(inside_rows)) <= 1  # a pixel of rounding
    assert abs(np.ptp(columns) - np.ptp(inside_columns)) <= 1
    assert rows.min() > 32
    assert columns.max() < 64


def test_where_nothing_speaks_for_the_class_there_is_no_ring():
    assert len(ring((0.5, 0.5), ((-1.0,) * 8, (0.0,) * 8) * 4)[0]) == 0


def test_the_png_is_the_picture():
    picture = lay_over(GREY, explanation([[FULL]]), size=8)
    with Image.open(io.BytesIO(png(picture))) as read:
        assert np.array_equal(np.asarray(read), np.asarray(picture))
