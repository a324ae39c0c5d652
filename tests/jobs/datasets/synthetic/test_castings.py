from collections import Counter

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from jobs.datasets.synthetic.castings import draw_castings
from jobs.datasets.synthetic.moulds import FORMS
from jobs.datasets.synthetic.spec import SyntheticSpec

FIRST = [
    ("ok", "", "impeller", "stain", "ejector"),
    ("ok", "", "cover", "tool-marks", "ejector", "chalk"),
    ("def", "blowhole", "impeller", "stain", "scratch", "tool-marks"),
    ("def", "blowhole", "impeller", "chalk"),
    ("ok", "", "cover", "dust", "letters", "chalk"),
    ("ok", "", "wheel", "stain", "tool-marks", "ejector"),
]
"""Golden: verdict, kind, mould and look-alikes; renewed whenever the draws change."""


def draw(**values):
    return list(draw_castings(SyntheticSpec(**values)))


def images(castings):
    return [casting.image.tobytes() for casting in castings]


def auc(scores, defective):
    """Share of (defective, sound) pairs in which the defective one scores higher."""
    scores = np.asarray(scores)
    return 0.5 + np.sign(np.subtract.outer(scores[defective], scores[~defective])).mean() / 2


@pytest.fixture(scope="module")
def pool():
    """The default pool, at the size that a coarse look needs."""
    return draw(size=96)


def test_equal_specs_draw_equal_castings():
    first, second = draw(parts=8, size=64), draw(parts=8, size=64)
    assert [c[2:] for c in first] == [c[2:] for c in second]
    assert images(first) == images(second)
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first, second, strict=True))


def test_another_seed_draws_other_castings():
    assert not set(images(draw(parts=8, size=64))) & set(images(draw(parts=8, size=64, seed=1)))


@pytest.mark.parametrize("share", [0, 1])
def test_parts_keep_their_look_when_the_pool_grows(share):
    few, many = (draw(parts=n, size=64, defect_share=share) for n in (5, 11))
    assert images(few) == images(many)[: len(few)]


def test_parts_keep_their_look_when_more_photographs_are_allowed():
    few, many = (draw(parts=5, size=64, shots=n, defect_share=0) for n in (1, 4))
    by_name = {casting.name: casting.image for casting in many}
    assert all(np.array_equal(casting.image, by_name[casting.name]) for casting in few)


@pytest.mark.parametrize(
    ("parts", "share", "defective"), [(320, 0.01, 3), (40, 0.3, 12), (7, 0, 0), (7, 1, 7)]
)
def test_exactly_the_asked_share_of_parts_is_defective(parts, share, defective):
    labels = {c.part: c.label for c in draw(parts=parts, defect_share=share, size=32)}
    assert Counter(labels.values())["def"] == defective
    assert len(labels) == parts


def test_a_larger_share_keeps_every_defective_part_defective():
    few, many = (
        {c.part for c in draw(parts=60, defect_share=share, size=32) if c.label == "def"}
        for share in (0.1, 0.4)
    )
    assert few < many


def test_all_photographs_of_a_part_have_one_verdict_and_one_kind(pool):
    verdicts = {(c.part, c.label, c.kind) for c in pool}
    assert len(verdicts) == len({c.part for c in pool})


def test_parts_have_one_to_four_photographs_each_named_once(pool):
    counts = Counter(c.part for c in pool)
    assert set(counts.values()) == {1, 2, 3, 4}
    assert len({c.name for c in pool}) == len(pool)
    assert pool[0].part == "part-0000"
    assert pool[0].name == "part-0000-shot-0"


def test_photographs_of_one_part_differ_from_each_other(pool):
    assert len(set(images(pool))) == len(pool)


def test_images_and_masks_are_square_and_of_the_asked_size(pool):
    assert {(c.image.shape, c.image.dtype.name) for c in pool} == {((96, 96), "uint8")}
    assert {(c.mask.shape, c.mask.dtype.name) for c in pool} == {((96, 96), "bool")}


def test_a_kind_is_named_and_a_mask_has_pixels_exactly_when_the_casting_is_defective(pool):
    for casting in pool:
        assert casting.label == ("def" if casting.kind else "ok")
        assert casting.mask.any() == (casting.label == "def")


def test_all_photographs_of_a_part_show_one_mould_with_the_same_lookalikes(pool):
    assert len({(c.part, c.mould, c.lookalikes) for c in pool}) == len({c.part for c in pool})


def test_every_mould_is_cast_and_none_tells_the_verdict(pool):
    parts = {c.part: c for c in pool}.values()
    for form, share in FORMS.items():
        of_form = [part.label == "def" for part in parts if part.mould == form]
        assert len(of_form) / len(parts) == pytest.approx(share, abs=0.07)
        assert 0 < np.mean(of_form) < 0.7


def test_the_first_parts_of_the_default_pool():
    found = [(c.label, c.kind, c.mould, *c.lookalikes) for c in draw(parts=6, shots=1, size=32)]
    assert found == FIRST


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda image: image.mean(), id="brightness"),
        pytest.param(lambda image: image[:12, :12].mean(), id="brightness of a corner"),
        pytest.param(lambda image: image[[0, -1]].mean(), id="brightness of the table"),
        pytest.param(lambda image: image[40:56, 40:56].mean(), id="brightness of the bore"),
        pytest.param(lambda image: np.abs(np.diff(image[:12].astype(float))).mean(), id="noise"),
    ],
)
def test_no_shortcut_separates_the_classes(pool, look):
    defective = np.array([c.label == "def" for c in pool])
    assert 0.42 < auc([look(c.image) for c in pool], defective) < 0.58


def test_a_linear_model_on_coarse_pixels_hardly_sees_the_defects(pool):
    coarse = [c.image.reshape(32, 3, 32, 3).mean(axis=(1, 3)).ravel() for c in pool]
    pixels = np.array(coarse) / 64 - 2
    defective = np.array([c.label == "def" for c in pool])
    held_out = np.array([c.part >= "part-0200" for c in pool])
    model = LogisticRegression(C=1e-3, max_iter=500).fit(pixels[~held_out], defective[~held_out])
    assert auc(model.decision_function(pixels[held_out]), defective[held_out]) < 0.75
