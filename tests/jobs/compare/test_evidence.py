"""What a comparison says of its claim."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobs.compare.curves import Curves
from jobs.compare.evidence import evidence, rests_on, splits_in_words
from jobs.compare.statistics import compare

BY_PART = {"split": "by-part", "says": "every seed has its own", "test_parts": {}}
GIVEN = {"split": "given", "says": "all seeds share one test side", "test_parts": {}}


def said(seeds: int, strategies: int, split: dict[str, Any], trainings: int = 4) -> dict[str, Any]:
    draws = np.random.default_rng(0)
    labels = 20.0 * np.arange(1, trainings + 1)
    values = {str(n): draws.random((seeds, trainings)) for n in range(strategies)}
    curves = Curves("test/auroc", labels, values, "0")
    return evidence(curves, compare(curves), split)


def test_measure_labels_seeds_and_comparisons_are_told():
    found = said(10, 4, BY_PART)
    assert (found["measure"], found["labels_from"], found["labels_to"]) == ("test/auroc", 40, 80)
    assert (found["seeds"], found["comparisons"], found["shortfall"]) == (10, 3, None)


def test_with_ten_seeds_a_false_claim_has_a_probability_and_its_conditions():
    own = said(10, 4, BY_PART)["false_claim"]
    assert "at most 5% (Holm)" in own
    assert "these parts, split anew" in own
    assert "this one test side" in said(10, 4, GIVEN)["false_claim"]


@pytest.mark.parametrize(
    ("seeds", "strategies", "trainings", "word"),
    [(9, 4, 4, "nothing is claimed"), (10, 4, 2, "nothing is claimed"), (10, 1, 4, "alone")],
)
def test_where_nothing_is_claimed_no_probability_is_promised(
    seeds: int, strategies: int, trainings: int, word: str
):
    found = said(seeds, strategies, BY_PART, trainings)["false_claim"]
    assert word in found
    assert "%" not in found


def test_in_one_sentence():
    text = rests_on({"evidence": said(1, 2, BY_PART)})
    assert text.startswith("Tested: test/auroc, mean of the curve, labels on a linear axis, from")
    assert "(40 to 80 labels); 1 comparison, 1 paired seed; nothing" in text


def test_who_is_no_better_than_the_constant_classifier_is_named():
    labels, constant = np.array([20.0, 40.0, 60.0]), np.array([0.8, 0.8, 0.8])
    values = {
        "random": np.array([[0.9, 0.7, 0.8]]),  # its first training does not count
        "bald": np.array([[0.7, 0.8, 0.8]]),
        "badge": np.array([[0.7, 0.8, 0.9]]),
    }
    curves = Curves("test/accuracy", labels, values, "random", constant)
    found = evidence(curves, compare(curves), BY_PART)
    assert found["not_above_constant"] == ["random", "bald"]
    text = rests_on({"evidence": found})
    assert text.endswith("No better than the constant classifier: random, bald.")
    without = evidence(replace(curves, constant_T=None), compare(curves), BY_PART)
    assert without["not_above_constant"] == []


def test_the_size_of_test_sides_is_told_with_its_range():
    sides = {"0": {"def": 2, "ok": 9}, "1": {"def": 3, "ok": 9}}
    text = splits_in_words({"split": BY_PART | {"test_parts": sides}})
    assert text == "Every seed has its own; parts on a test side: 2 to 3 def, 9 ok."
    assert splits_in_words({"split": GIVEN}) == "All seeds share one test side."
