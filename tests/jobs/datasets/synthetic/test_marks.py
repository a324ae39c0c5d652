"""Defects and blemishes, and their masks."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from jobs.datasets.synthetic.castings import draw_castings
from jobs.datasets.synthetic.marks import KINDS
from jobs.datasets.synthetic.spec import SyntheticSpec

REACH = 6


def draw(**values):
    return list(draw_castings(SyntheticSpec(**values)))


@pytest.fixture(scope="module")
def before_and_after():
    """The same photographs of the same parts, all sound and all defective."""
    return list(zip(draw(parts=50, defect_share=0), draw(parts=50, defect_share=1), strict=True))


def change_within_mask(sound, defective):
    return np.abs(sound.image.astype(float) - defective.image)[defective.mask].mean()


@given(seed=st.integers(0, 2**64), size=st.integers(32, 48))
@settings(max_examples=40, deadline=None)
def test_even_the_smallest_photograph_of_a_defect_has_a_mask(seed, size):
    for casting in draw(parts=2, shots=1, defect_share=1, size=size, seed=seed):
        assert 0 < casting.mask.mean() < 0.3


def test_kinds_are_unequally_common():
    counts = Counter(c.kind for c in draw(parts=320, shots=1, defect_share=1, size=32))
    assert list(KINDS) == [kind for kind, _ in counts.most_common()]
    assert counts["blowhole"] > 4 * counts["flash"]


def test_a_defect_changes_nothing_far_from_its_mask(before_and_after):
    for sound, defective in before_and_after:
        mask = Image.fromarray(defective.mask.astype(np.uint8))
        far = np.asarray(mask.filter(ImageFilter.MaxFilter(2 * REACH + 1))) == 0
        assert np.array_equal(sound.image[far], defective.image[far]), defective.name


def test_a_defect_shows_where_its_mask_is(before_and_after):
    changes = {kind: [] for kind in KINDS}
    for sound, defective in before_and_after:
        changes[defective.kind].append(change_within_mask(sound, defective))
    assert all(min(grey_levels) > 1 for grey_levels in changes.values())
    assert all(np.mean(grey_levels) > 15 for grey_levels in changes.values())


def test_defects_reach_from_blatant_to_barely_visible(before_and_after):
    areas = [defective.mask.sum() for _, defective in before_and_after]
    contrasts = [change_within_mask(*pair) for pair in before_and_after]
    assert np.quantile(areas, 0.9) > 5 * np.quantile(areas, 0.1)
    assert np.quantile(contrasts, 0.9) > 3 * np.quantile(contrasts, 0.1)
