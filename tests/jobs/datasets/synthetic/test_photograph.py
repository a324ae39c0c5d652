"""One photograph of a part."""

import numpy as np
import pytest

from jobs.datasets.synthetic.moulds import FORMS
from jobs.datasets.synthetic.photograph import photograph
from tests.jobs.datasets.synthetic.test_part import part_of


def shots(form, count, size=64):
    part = part_of(form)
    return [photograph(part, np.random.default_rng(seed), size) for seed in range(count)]


@pytest.mark.parametrize("form", FORMS)
def test_one_state_of_the_generator_is_one_photograph(form):
    (image, _), (again, _) = shots(form, 1) + shots(form, 1)
    assert image.dtype == np.uint8
    assert np.array_equal(image, again)


def test_exposure_differs_between_photographs_and_none_is_lost_in_black_or_white():
    brightness = np.array([image.mean() for image, _ in shots("impeller", 40)])
    assert brightness.std() > 10
    assert brightness.min() > 60
    assert brightness.max() < 210


def test_light_comes_from_every_side():
    images = [image.astype(float) for image, _ in shots("cover", 40)]
    right = [image[:, -12:].mean() - image[:, :12].mean() for image in images]
    assert 0.2 < np.mean(np.array(right) > 0) < 0.8
    assert np.std(right) > 5


def test_the_bore_of_a_part_shows_the_table_not_the_hub():
    for image, plane in shots("wheel", 5, size=160):
        mould = part_of("wheel").mould
        bore = image[plane.radius < mould.bore - 0.03]
        hub = image[(plane.radius > mould.bore + 0.03) & (plane.radius < mould.hub - 0.03)]
        assert bore.mean() < hub.mean() - 10
