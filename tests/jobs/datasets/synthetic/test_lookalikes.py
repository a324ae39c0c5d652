"""Marks that are no defects, on sound and defective parts alike."""

from collections import Counter

import numpy as np
import pytest

from jobs.datasets.synthetic.castings import draw_castings
from jobs.datasets.synthetic.lookalikes import LOOKALIKES, PREVALENCE, draw_lookalikes
from jobs.datasets.synthetic.moulds import FORMS, draw_mould
from jobs.datasets.synthetic.spec import SyntheticSpec


def drawn(hardness, form="impeller", seed=0):
    mould = draw_mould(form, np.random.default_rng(0))
    return draw_lookalikes(np.random.default_rng(seed), hardness, mould)


@pytest.mark.parametrize("label", ["ok", "def"])
def test_every_kind_is_equally_common_on_sound_and_on_defective_parts(label):
    spec = SyntheticSpec(parts=1200, shots=1, defect_share=0.5, size=32)
    parts = [casting for casting in draw_castings(spec) if casting.label == label]
    borne = Counter(kind for casting in parts for kind in casting.lookalikes)
    assert set(borne) == set(LOOKALIKES)
    for count in borne.values():  # the standard error is 0.018
        assert count / len(parts) == pytest.approx(PREVALENCE, abs=0.06)


def test_damage_leaves_the_lookalikes_of_a_part_as_they_are():
    few, many = (
        [c.lookalikes for c in draw_castings(SyntheticSpec(parts=30, shots=1, defect_share=s))]
        for s in (0, 1)
    )
    assert few == many


def test_hardness_makes_them_stronger_and_nothing_else():
    for seed in range(20):
        easy, hard = drawn(0, seed=seed), drawn(1, seed=seed)
        assert list(easy) == list(hard)
        for kind, marks in easy.items():
            for faint, strong in zip(marks, hard[kind], strict=True):
                assert abs(faint.dark) <= abs(strong.dark)
                assert abs(faint.steep) <= abs(strong.steep)


@pytest.mark.parametrize("kind", LOOKALIKES)
@pytest.mark.parametrize("form", FORMS)
def test_every_kind_can_be_on_every_mould(kind, form):
    mould = draw_mould(form, np.random.default_rng(0))
    marks = LOOKALIKES[kind](np.random.default_rng(1), 1.0, mould)
    assert marks
    assert all(mark.dark or mark.steep for mark in marks)
