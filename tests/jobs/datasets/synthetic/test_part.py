"""One physical part."""

import numpy as np

from jobs.datasets.synthetic.defects import draw_defect
from jobs.datasets.synthetic.moulds import draw_mould
from jobs.datasets.synthetic.part import damaged, draw_part


def part_of(form="impeller", seed=0, hardness=0.2):
    mould = draw_mould(form, np.random.default_rng(0))
    return draw_part(np.random.default_rng(seed), hardness, mould)


def test_parts_of_one_mould_differ_in_surface_only():
    one, other = part_of(), part_of(seed=1)
    assert np.array_equal(one.mould.outline, other.mould.outline)
    assert not np.array_equal(one.grain, other.grain)
    assert np.abs(one.rim).max() < 0.02


def test_a_face_as_cast_is_rougher_and_has_fewer_tool_marks_than_a_turned_one():
    turned, as_cast = part_of("impeller"), part_of("cover")
    assert as_cast.lathe.std() < turned.lathe.std()
    assert as_cast.grain.std() > turned.grain.std()


def test_damage_adds_one_mark_and_spares_the_part_itself():
    part = part_of()
    _, defect = draw_defect(np.random.default_rng(0), 0.2, part.mould)
    after = damaged(part, defect)
    assert list(after.marks) == [*part.marks, defect.mark]
    assert part.defects == ()
