import io

import numpy as np
import torch
from PIL import Image

from models.prediction.class_activation_map import Explanation
from models.prediction.heat_map import FULL, lay_over, png

GREY = np.full((64, 128, 3), 100, np.uint8)


def explanation(cells, peak=(2.0, 2.0)):  # a peak outside the picture: the ring is not in the way
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
    pixels = np.asarray(lay_over(GREY, explanation([[FULL, 0.0], [0.0, 0.0]]), size=16))
    coloured = (pixels != 100).any(axis=2)
    assert coloured.sum() == coloured[:16, :32].sum() == 16 * 32  # a quarter of each side


def test_a_ring_marks_the_peak():
    pixels = np.asarray(lay_over(GREY, explanation([[-1.0] * 8] * 8, peak=(0.5, 0.5)), size=64))
    rows, columns = np.nonzero((pixels == 255).all(axis=2))
    assert abs(rows.mean() - 32) < 1
    assert abs(columns.mean() - 64) < 1
    assert (pixels[32, 64] == 100).all()  # what lies in it is to be seen


def test_the_png_is_the_picture():
    picture = lay_over(GREY, explanation([[FULL]]), size=8)
    with Image.open(io.BytesIO(png(picture))) as read:
        assert np.array_equal(np.asarray(read), np.asarray(picture))
