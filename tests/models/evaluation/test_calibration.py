import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.calibration import (
    FEWEST,
    MAX_OVERKILL,
    RESOLUTION,
    calibrate,
    temperature,
    threshold,
)
from models.evaluation.metrics import rate

CLASSES = ("def", "ok")


def some_castings(count, overconfidence=1.0, seed=0):
    """Castings whose probabilities are right once their logits are divided by `overconfidence`."""
    generator = np.random.default_rng(seed)
    true_N = generator.uniform(0.02, 0.98, count)
    targets_N = (generator.uniform(size=count) < true_N).astype(np.int64)
    probs_N_C = np.stack([1 - true_N, true_N], axis=1)
    return tempered(probs_N_C, 1 / overconfidence), targets_N


def tempered(probs_N_C, by):
    """Probabilities `[N, C]` whose logits are divided by `by`."""
    logits_N_C = np.log(probs_N_C.clip(min=1e-300)) / by
    raised_N_C = np.exp(logits_N_C - logits_N_C.max(axis=1, keepdims=True))
    return raised_N_C / raised_N_C.sum(axis=1, keepdims=True)


def at(probs_N_C):
    return lambda t: tempered(probs_N_C, t)


def parts(count):
    return [str(i) for i in range(count)]


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_that_castings_were_made_with_is_found(true):
    probs_N_C, targets_N = some_castings(4000, overconfidence=true)
    assert temperature(at(probs_N_C), targets_N) == pytest.approx(true, rel=0.15)


def test_certain_and_wrong_probabilities_give_a_finite_temperature():
    probs_N_C = np.array([[1.0, 0.0]] * 10 + [[0.0, 1.0]] * 10)
    targets_N = np.array([0] * 9 + [1] * 11)
    assert 1 < temperature(at(probs_N_C), targets_N) <= 8


def test_the_threshold_by_hand():
    defect_N = np.array([0.9, 0.6, 0.4, 0.1, 0.95, 0.2])
    good_N = np.array([True, True, True, True, False, False])
    chosen = threshold(defect_N, good_N, parts(6), 0.25)  # one of four good ones may go
    assert chosen == 0.6 + RESOLUTION
    assert threshold(defect_N, good_N, parts(6), 0.0) == 0.9 + RESOLUTION
    assert threshold(defect_N, good_N, parts(6), 1.0) == 0.0


def test_overkill_is_counted_by_part():
    defect_N = np.array([0.9, 0.9, 0.9, 0.1])
    good_N = np.ones(4, dtype=bool)
    assert threshold(defect_N, good_N, ["a", "a", "a", "b"], 0.5) == 0.1 + RESOLUTION


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1))
def test_the_threshold_keeps_its_target_and_the_next_lower_one_does_not(values, target):
    defect_N, good_N = np.array(values), np.ones(len(values), dtype=bool)
    chosen = threshold(defect_N, good_N, parts(len(values)), target)
    assert rate(defect_N >= chosen, good_N, parts(len(values))) <= target
    lower = defect_N[defect_N < chosen - RESOLUTION]
    if len(lower):
        assert rate(defect_N >= lower.max(), good_N, parts(len(values))) > target


def test_enough_castings_set_both():
    probs_N_C, targets_N = some_castings(200, overconfidence=2.0)
    point, shortfall = calibrate(at(probs_N_C), targets_N, parts(200), CLASSES, "ok")
    assert shortfall == []
    assert point.temperature > 1
    defect_N = tempered(probs_N_C, point.temperature)[:, 0]
    assert rate(defect_N >= point.threshold, targets_N == 1, parts(200)) <= MAX_OVERKILL


def test_too_few_castings_set_nothing_and_that_is_told():
    probs_N_C, targets_N = some_castings(FEWEST - 1)
    point, shortfall = calibrate(at(probs_N_C), targets_N, parts(FEWEST - 1), CLASSES, "ok")
    assert (point.temperature, point.threshold) == (1.0, 0.5)
    assert shortfall == [
        "a temperature needs 20 castings of two classes",
        "a threshold for 5% overkill needs 20 good castings",
    ]


def test_no_castings_at_all_set_nothing():
    point, shortfall = calibrate(at(np.empty((0, 2))), np.empty(0, np.int64), [], CLASSES, "ok")
    assert (point.temperature, point.threshold) == (1.0, 0.5)
    assert len(shortfall) == 2


def test_without_a_good_class_there_is_no_threshold_to_set():
    probs_N_C, targets_N = some_castings(100)
    point, shortfall = calibrate(at(probs_N_C), targets_N, parts(100), ("a", "b"), None)
    assert point.good is None
    assert shortfall == []
    assert point.threshold == 0.5


def test_an_ensembles_promise_holds_for_what_it_answers():
    """The mean of tempered members is not the tempered mean."""
    generator = np.random.default_rng(1)
    targets_N = (np.arange(400) % 2 == 0).astype(np.int64)  # 1: ok
    logits_N_K = np.where(targets_N == 1, 1.5, -1.5)[:, None] + generator.normal(0, 4, (400, 5))

    def probs_at(by):
        ok_N = (1 / (1 + np.exp(-logits_N_K / by))).mean(axis=1)
        return np.stack([1 - ok_N, ok_N], axis=1)

    point, shortfall = calibrate(probs_at, targets_N, parts(400), CLASSES, "ok")
    assert shortfall == []
    assert point.temperature != 1
    rejected_N = probs_at(point.temperature)[:, 0] >= point.threshold
    overkill = rejected_N[targets_N == 1].mean()
    assert MAX_OVERKILL - 0.01 <= overkill <= MAX_OVERKILL
