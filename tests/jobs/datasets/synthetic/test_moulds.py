"""The geometries that parts are cast in."""

import numpy as np
import pytest

from jobs.datasets.synthetic.moulds import FORMS, draw_mould
from jobs.datasets.synthetic.plane import TURN
from tests.jobs.datasets.synthetic.test_marks import plane_of

LUGS = {"flange": 2, "bracket": 3, "cover": 4}
EVERY_FORM = pytest.mark.parametrize("form", FORMS)


def mould_of(form, seed=0):
    return draw_mould(form, np.random.default_rng(seed))


def test_shares_of_the_moulds_add_up():
    assert sum(FORMS.values()) == pytest.approx(1)


@EVERY_FORM
def test_rings_follow_each_other_outwards_and_the_face_has_room(form):
    for seed in range(20):
        mould = mould_of(form, seed)
        radii = [0, mould.bore, mould.hub, mould.cavity, mould.neck, mould.groove]
        assert sorted(set(radii)) == radii
        assert mould.outline.min() > mould.groove + 0.2
        assert mould.outline.max() <= 1 + 1e-6


@EVERY_FORM
def test_another_seed_is_another_mould(form):
    assert mould_of(form).hub == mould_of(form).hub
    assert mould_of(form).hub != mould_of(form, 1).hub


@pytest.mark.parametrize(("form", "lugs"), LUGS.items())
def test_a_plate_reaches_farthest_at_its_lugs_and_has_a_hole_in_each(form, lugs):
    mould = mould_of(form)
    tips = np.arange(lugs) * TURN // lugs
    assert mould.outline[tips] == pytest.approx(1, abs=1e-4)
    assert mould.outline[tips + TURN // lugs // 2].max() < 0.85
    assert (mould.opening(plane_of(*mould.holes.centres.tolist())) > 0).all()


@pytest.mark.parametrize("form", ["impeller", "wheel"])
def test_a_turned_part_is_round(form):
    assert set(mould_of(form).outline.tolist()) == {1}


def test_the_table_is_seen_through_the_bore_and_between_spokes_only():
    mould = mould_of("wheel")
    between = np.pi / mould.spokes.number
    middle = (mould.hub + mould.cavity) / 2
    points = [(0, 0), (middle * np.cos(between), middle * np.sin(between)), (middle, 0), (0.8, 0)]
    assert (mould.opening(plane_of(*points)) > 0).tolist() == [[True, True, False, False]]


@EVERY_FORM
def test_spots_lie_on_the_face_off_its_edges_and_holes(form):
    mould = mould_of(form)
    points = mould.spots(np.random.default_rng(0), 40, margin=0.03)
    plane = plane_of(*points.tolist())
    assert points.shape == (40, 2)
    assert (mould.opening(plane) < -0.029).all()
    assert (plane.radius > mould.groove + 0.029).all()
    assert (plane.radius < mould.outline[plane.turn] - 0.029).all()


def test_spots_are_had_even_where_the_margin_leaves_no_room():
    assert mould_of("cover").spots(np.random.default_rng(0), 3, margin=5).shape == (3, 2)
