"""Defects and their masks: the same parts photographed before and after damage."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from jobs.datasets.synthetic.castings import draw_castings
from jobs.datasets.synthetic.defects import KINDS, Severity, draw_defect
from jobs.datasets.synthetic.moulds import FORMS, draw_mould
from jobs.datasets.synthetic.part import damaged, draw_part
from jobs.datasets.synthetic.photograph import photograph
from jobs.datasets.synthetic.spec import SyntheticSpec

REACH = 6
"""Pixels by which blur and the walls of a defect can go beyond its mask at 160 px."""

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def draw(**values):
    return list(draw_castings(SyntheticSpec(**values)))


def pair_of(kind, seed, hardness):
    """One photograph of a part before damage and after, and the mask."""
    mould = draw_mould(list(FORMS)[seed % len(FORMS)], np.random.default_rng(seed))
    part = draw_part(np.random.default_rng(seed), hardness, mould)
    rng = np.random.default_rng([seed, 1])
    defect = KINDS[kind][1](rng, Severity(rng, hardness), mould)
    sound, plane = photograph(part, np.random.default_rng(seed), 160)
    after, _ = photograph(damaged(part, defect), np.random.default_rng(seed), 160)
    return sound.astype(float), after.astype(float), defect.mask(mould, plane)


def change_within(sound, defective, mask):
    return np.abs(sound - defective)[mask].mean()


@pytest.fixture(scope="module")
def pairs():
    """Of every kind, mould and two hardnesses: before, after, mask."""
    return {
        (kind, hardness): [pair_of(kind, seed, hardness) for seed in range(5)]
        for kind in KINDS
        for hardness in (0.0, 1.0)
    }


def test_shares_of_the_kinds_add_up():
    assert sum(share for share, _ in KINDS.values()) == pytest.approx(1)


@given(seed=st.integers(0, 2**64), size=st.integers(32, 48), hardness=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_even_the_smallest_photograph_of_a_defect_has_a_mask(seed, size, hardness):
    spec = {"parts": 2, "shots": 1, "defect_share": 1, "hardness": hardness}
    for casting in draw(size=size, seed=seed, **spec):
        assert 0 < casting.mask.mean() < 0.3


def test_kinds_are_as_common_as_their_shares():
    mould, count = draw_mould("impeller", np.random.default_rng(0)), 2000
    drawn = Counter(draw_defect(np.random.default_rng(i), 0.2, mould)[0] for i in range(count))
    for kind, (share, _) in KINDS.items():
        assert drawn[kind] / count == pytest.approx(share, abs=0.035)


@EVERY_KIND
@pytest.mark.parametrize("hardness", [0.0, 1.0])
def test_a_defect_changes_nothing_far_from_its_mask(pairs, kind, hardness):
    for sound, after, mask in pairs[kind, hardness]:
        grown = Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * REACH + 1))
        far = np.asarray(grown) == 0
        assert np.array_equal(sound[far], after[far])


@EVERY_KIND
def test_a_defect_shows_where_its_mask_is(pairs, kind):
    assert min(change_within(*pair) for pair in pairs[kind, 0.0]) > 8
    assert min(change_within(*pair) for pair in pairs[kind, 1.0]) > 1


@EVERY_KIND
def test_a_mask_is_of_metal_only(kind):
    for seed, form in enumerate(FORMS):
        mould, rng = draw_mould(form, np.random.default_rng(seed)), np.random.default_rng(seed)
        part = draw_part(rng, 0, mould)
        defect = KINDS[kind][1](rng, Severity(rng, 0), mould)
        _, plane = photograph(part, rng, 160)
        assert not (defect.mask(mould, plane) & (mould.opening(plane) > plane.pixel)).any()


def test_the_harder_the_smaller_and_the_fainter(pairs):
    for kind in KINDS:
        easy, hard = pairs[kind, 0.0], pairs[kind, 1.0]
        assert sum(m.sum() for *_, m in hard) < sum(m.sum() for *_, m in easy)
        assert sum(change_within(*p) for p in hard) < sum(change_within(*p) for p in easy)


@pytest.mark.parametrize("seed", range(5))
def test_one_defect_at_two_hardnesses_is_the_same_but_for_its_severity(seed):
    mould = draw_mould("cover", np.random.default_rng(0))
    rngs = [np.random.default_rng(seed) for _ in range(2)]
    kinds = [draw_defect(rng, h, mould)[0] for rng, h in zip(rngs, (0, 1), strict=True)]
    assert kinds[0] == kinds[1]
    assert rngs[0].random() == rngs[1].random()  # neither drew more than the other


@pytest.mark.parametrize(("hardness", "mean"), [(0, 24 / 25), (1, 0.3 / 1.3)])
def test_severities_have_the_mean_that_their_law_gives(hardness, mean):
    severity = Severity(np.random.default_rng(0), hardness)
    drawn = np.log2([severity.size(1, 2) for _ in range(4000)])
    assert drawn.mean() == pytest.approx(mean, abs=0.02)
    assert all(0.1 <= severity.darkness() <= 0.97 for _ in range(100))


def test_a_hard_pool_reaches_from_blatant_to_barely_visible():
    hard = {"parts": 60, "shots": 1, "hardness": 0.5}
    sound, defective = (draw(defect_share=share, **hard) for share in (0, 1))
    areas = [c.mask.sum() for c in defective]
    contrasts = [
        change_within(before.image.astype(float), after.image, after.mask)
        for before, after in zip(sound, defective, strict=True)
    ]
    assert np.quantile(areas, 0.9) > 5 * np.quantile(areas, 0.1)
    assert np.quantile(contrasts, 0.9) > 3 * np.quantile(contrasts, 0.1)


def test_even_the_default_pool_has_faint_defects():
    severities = [
        Severity(np.random.default_rng(i), SyntheticSpec().hardness) for i in range(2000)
    ]
    faint = np.mean([severity.darkness() < 0.3 for severity in severities])
    assert 0.02 < faint < 0.15
