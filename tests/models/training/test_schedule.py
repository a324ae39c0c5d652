import math

import pytest
import torch

from models.training.recipe import Recipe
from models.training.schedule import Pace, steps_for


def test_a_round_has_thirty_steps_and_one_more_for_two_labels():
    assert steps_for(60) == 60


def test_the_peak_is_held_until_the_labels_are_fitted():
    pace = Pace(steps=4, peak=2, fitted=0.5, holds=10)
    for loss in (1.0, 1.0):
        pace.step(loss)
    shares = []
    for loss in (0.9, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0):
        shares.append(pace.share_of_peak)
        pace.step(loss)
    assert shares[:6] == [1.0] * 6  # eight losses: the mean is 0.475 after the eighth
    assert (pace.position, pace.holds) == (4, 5)


def test_the_peak_is_not_held_for_ever():
    pace = Pace(steps=4, peak=2, fitted=0.5, holds=3)
    for _ in range(7):
        pace.step(9.0)
    assert (pace.position, pace.holds) == (4, 0)


def test_a_given_number_of_steps_is_kept_to_and_one_class_is_fitted_at_once():
    labels, weights = torch.tensor([0, 1, 0, 1]), torch.tensor([1.0, 1.0])
    assert Pace.of(Recipe(steps=7), labels, weights).holds == 0
    assert Pace.of(Recipe(), labels, weights).holds == steps_for(4)
    assert Pace.of(Recipe(), torch.tensor([1, 1]), torch.tensor([0.0, 1.0])).holds == 0
    assert Pace.of(Recipe(), labels, weights).fitted == pytest.approx(math.log(2) / 2)


def test_the_rate_climbs_in_a_line_and_falls_along_half_a_cosine():
    pace, shares = Pace(steps=6, peak=2, fitted=0.0, holds=0), []
    while pace.position < pace.steps:
        shares.append(pace.share_of_peak)
        pace.step(1.0)
    assert shares == pytest.approx([1 / 3, 2 / 3, 1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])
