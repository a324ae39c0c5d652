"""Shapes on a face, and what they do to light; distances worked out by hand."""

import numpy as np
import pytest

from jobs.datasets.synthetic.marks import LIP, WALL, Discs, Fringe, Line, Mark, relief
from jobs.datasets.synthetic.plane import TURN, Plane, turn_of


def plane_of(*points):
    """A photograph whose pixels lie at the given points."""
    x, y = np.array([points], np.float32).transpose(2, 0, 1)
    return Plane(x, y, np.hypot(x, y), turn_of(x, y), pixel=0.1, rotation=0)


def test_the_depth_in_discs_is_that_in_the_nearest():
    discs = Discs(np.float32([[0, 0], [1, 0]]), np.float32([0.3, 0.5]))
    assert discs.inside(plane_of((0, 0), (1, 0.1), (0, 1)))[0] == pytest.approx([0.3, 0.4, -0.7])


def test_the_depth_in_a_line_is_measured_from_its_nearest_segment():
    line = Line(np.float32([[0, 0], [1, 0], [1, 1]]), np.float32([0.2, 0.1, 0.1]))
    depth = line.inside(plane_of((0.5, 0), (0.5, 0.3), (1.3, 0.5), (-1, 0)))
    assert depth[0] == pytest.approx([0.2, -0.1, -0.2, -0.8])


def test_a_fringe_lies_between_its_outlines_and_nowhere_where_they_cross():
    low, high = np.full(TURN, 0.5, np.float32), np.full(TURN, 1, np.float32)
    low[TURN // 2] = 2
    depth = Fringe(low, high).inside(plane_of((0.7, 0), (1.2, 0), (-0.7, 0)))
    assert depth[0] == pytest.approx([0.2, -0.2, -1.3])


def test_a_mark_swallows_its_share_of_the_light_and_falls_inwards():
    disc = Discs(np.zeros((1, 2), np.float32), np.float32([0.5]))
    factor, height = Mark(disc, dark=0.4, steep=2).relief(plane_of((0, 0), (0.5, 0), (2, 0)))
    assert factor[0] == pytest.approx([0.6, 0.8, 1])
    assert height[0] == pytest.approx([-2 * WALL, 0, 2 * LIP], abs=1e-6)


def test_marks_upon_each_other_multiply_their_factors_and_add_their_heights():
    disc = Discs(np.zeros((1, 2), np.float32), np.float32([0.5]))
    tint, height = relief([Mark(disc, 0.5, 1), Mark(disc, 0.2, 1)], plane_of((0, 0)))
    assert tint[0, 0] == pytest.approx(0.4)
    assert height[0, 0] == pytest.approx(-2 * WALL)
    bare, flat = relief([], plane_of((0, 0)))
    assert (bare[0, 0], flat[0, 0]) == (1, 0)
