"""Where pixels lie on a part, and the draws that everything shares."""

import math

import numpy as np
import pytest

from jobs.datasets.synthetic.plane import (
    BEARINGS,
    TURN,
    Plane,
    aim,
    covered,
    log_uniform,
    turn_of,
    wave,
)


@pytest.mark.parametrize(
    ("x", "y", "turn"), [(1, 0, 0), (0, 1, 256), (-1, 0, 512), (0.5, 0.5, 128)]
)
def test_a_direction_has_its_step_of_the_turn(x, y, turn):
    assert turn_of(np.float32([x]), np.float32([y])) == turn
    assert math.isclose(BEARINGS[turn], turn / TURN * 2 * math.pi, rel_tol=1e-6)


def test_a_pixel_on_the_outline_is_half_covered():
    nothing = np.zeros((1, 3), np.float32)
    plane = Plane(nothing, nothing, nothing, nothing.astype(np.intp), pixel=0.5, rotation=0)
    assert covered(np.float32([-0.25, 0, 0.125, 9]), plane).tolist() == [0, 0.5, 0.75, 1]


@pytest.mark.parametrize("seed", range(20))
def test_the_whole_part_is_in_view(seed):
    plane = aim(np.random.default_rng(seed), 48)
    edge = np.concatenate([plane.radius[[0, -1]].ravel(), plane.radius[:, [0, -1]].ravel()])
    assert edge.min() > 1.05  # no pixel of the frame lies on the part
    assert plane.radius.min() < 2 * plane.pixel  # the axis is in view


def test_small_numbers_are_as_common_as_large_ones_on_a_logarithmic_scale():
    rng = np.random.default_rng(0)
    drawn = [log_uniform(rng, 0.01, 1) for _ in range(2000)]
    assert min(drawn) >= 0.01
    assert max(drawn) <= 1
    assert np.median(drawn) == pytest.approx(0.1, rel=0.2)


def test_a_wave_closes_on_itself_and_has_unit_variance():
    table = wave(np.random.default_rng(0), 2, 7)
    assert np.var(table) == pytest.approx(1, abs=1e-3)
    assert abs(table[0] - table[-1]) < 0.1
