import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    roc_auc_score,
)

from models.evaluation.metrics import calibration_bins, evaluate, expected_calibration_error
from models.evaluation.operating_point import OperatingPoint

quick = settings(max_examples=60, deadline=None)
GOOD_HALF = OperatingPoint("ok", 0.5)
ALWAYS = {"accuracy", "constant_accuracy", "macro_f1", "nll", "ece"}
OF_TWO_CLASSES = {"balanced_accuracy", "constant_balanced_accuracy", "auroc"}
ALL = ALWAYS | OF_TWO_CLASSES | {"escape_rate", "overkill_rate"}


def two_class(defect):
    """Columns def, ok."""
    defect = np.asarray(defect, dtype=np.float64)
    return np.stack([defect, 1 - defect], axis=1)


def evaluated(defect, truth, parts=None, operating=GOOD_HALF):
    targets = np.array([["def", "ok"].index(t) for t in truth], dtype=np.int64)
    parts = parts or [str(i) for i in range(len(truth))]
    return evaluate(two_class(defect), targets, ("def", "ok"), operating, parts)


def random_probabilities(seed, count, classes):
    random = np.random.default_rng(seed)
    return random.dirichlet(np.ones(classes), count), random.integers(0, classes, count)


# --- worked by hand -----------------------------------------------------------------------------


def test_escapes_are_defects_passed_and_overkill_goods_rejected():
    metrics = evaluated(
        [0.9, 0.8, 0.1, 0.7, 0.2, 0.3, 0.1], ["def", "def", "def", "ok", "ok", "ok", "ok"]
    )
    assert metrics["escape_rate"] == pytest.approx(1 / 3)
    assert metrics["overkill_rate"] == pytest.approx(1 / 4)
    assert metrics["accuracy"] == pytest.approx(5 / 7)
    assert set(metrics) == ALL


def test_balanced_accuracy_is_the_mean_of_the_classes_shares_that_are_right():
    metrics = evaluated(
        [0.9, 0.8, 0.1, 0.7, 0.2, 0.3, 0.1], ["def", "def", "def", "ok", "ok", "ok", "ok"]
    )
    assert metrics["balanced_accuracy"] == pytest.approx((2 / 3 + 3 / 4) / 2)


def test_the_constant_classifier_says_the_commonest_class_of_the_test_side():
    metrics = evaluated([0.9, 0.8, 0.1, 0.7], ["def", "ok", "ok", "ok"])
    assert metrics["constant_accuracy"] == 3 / 4
    assert metrics["constant_balanced_accuracy"] == 1 / 2
    says_ok = evaluated([0.1] * 4, ["def", "ok", "ok", "ok"])
    assert says_ok["accuracy"] == says_ok["constant_accuracy"]
    assert says_ok["balanced_accuracy"] == says_ok["constant_balanced_accuracy"]


def test_a_class_that_the_test_side_lacks_is_none_of_those_that_are_balanced():
    probs = np.array([[0.8, 0.1, 0.1], [0.2, 0.1, 0.7], [0.2, 0.7, 0.1], [0.2, 0.7, 0.1]])
    metrics = evaluate(probs, np.array([0, 1, 1, 1]), tuple("abc"), OperatingPoint(None), "wxyz")
    assert metrics["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert metrics["constant_balanced_accuracy"] == 1 / 2


def test_a_casting_at_the_threshold_is_rejected():
    at, below = (
        evaluated([0.25], ["ok"], operating=OperatingPoint("ok", 0.25)),
        evaluated([0.25], ["ok"], operating=OperatingPoint("ok", 0.26)),
    )
    assert (at["overkill_rate"], below["overkill_rate"]) == (1, 0)
    assert (at["accuracy"], below["accuracy"]) == (0, 1)


def test_where_parts_are_known_a_rate_is_the_mean_over_parts_of_their_means():
    metrics = evaluated(
        [0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.9],
        ["def", "def", "def", "def", "def", "ok", "ok", "ok"],
        parts=["a", "a", "a", "a", "b", "c", "d", "d"],
    )
    assert metrics["escape_rate"] == pytest.approx((1 / 4 + 1) / 2)  # per casting it were 2/5
    assert metrics["overkill_rate"] == pytest.approx((0 + 1 / 2) / 2)


def test_a_part_counts_for_escapes_by_its_defects_and_for_overkill_by_its_goods():
    metrics = evaluated([0.1, 0.9], ["def", "ok"], parts=["both", "both"])
    assert (metrics["escape_rate"], metrics["overkill_rate"]) == (1, 1)


def test_what_is_not_defined_is_left_out():
    assert set(evaluated([0.1, 0.2], ["ok", "ok"])) == ALWAYS | {"overkill_rate"}
    assert set(evaluated([0.1, 0.2], ["def", "def"])) == ALWAYS | {"escape_rate"}
    no_good = evaluated([0.1, 0.9], ["def", "ok"], operating=OperatingPoint(None))
    assert set(no_good) == ALL - {"escape_rate", "overkill_rate"}


def test_nothing_is_known_without_test_castings():
    assert evaluated([], []) == {}


def test_of_several_defects_any_that_is_rejected_is_no_escape():
    probs = np.array([[0.3, 0.3, 0.4], [0.1, 0.1, 0.8], [0.0, 0.9, 0.1]])  # crack, pore, ok
    targets = np.array([0, 1, 2])
    metrics = evaluate(probs, targets, ("crack", "pore", "ok"), GOOD_HALF, list("abc"))
    assert metrics["escape_rate"] == pytest.approx(1 / 2)  # the first is rejected, by its sum
    assert metrics["overkill_rate"] == 1


def test_a_certain_mistake_costs_much_but_not_infinity():
    assert math.isfinite(evaluated([0.0], ["def"])["nll"])
    assert evaluated([0.0], ["def"])["nll"] > 100


def test_a_model_as_right_as_it_is_sure_has_no_calibration_error():
    probs, targets = two_class([0.75] * 60), np.array(([0] * 3 + [1]) * 15)
    assert expected_calibration_error(probs, targets) == pytest.approx(0)
    assert expected_calibration_error(probs, np.ones(60, dtype=np.int64)) == pytest.approx(0.75)


def test_bins_have_equal_mass_least_confident_first():
    probs, targets = two_class(np.linspace(0.5, 0.99, 32)), np.zeros(32, dtype=np.int64)
    bins = calibration_bins(probs, targets)
    assert [count for _, _, count in bins] == [3, 3] + [2] * 13
    assert [confidence for confidence, _, _ in bins] == sorted(c for c, _, _ in bins)
    assert all(accuracy == 1 for _, accuracy, _ in bins)


def test_fewer_castings_than_bins_leave_no_bin_empty():
    bins = calibration_bins(two_class([0.9, 0.2]), np.array([0, 0]))
    assert [(round(c, 3), a, n) for c, a, n in bins] == [(0.8, 0, 1), (0.9, 1, 1)]


# --- properties ---------------------------------------------------------------------------------


@quick
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(2, 4), st.integers(1, 6))
def test_every_rate_lies_between_zero_and_one_and_no_input_is_written_to(
    seed, count, classes, parts
):
    probs, targets = random_probabilities(seed, count, classes)
    before = probs.copy(), targets.copy()
    names = [*(f"def-{i}" for i in range(classes - 1)), "ok"]
    belongs = [str(i % parts) for i in range(count)]
    metrics = evaluate(probs, targets, names, GOOD_HALF, belongs)
    assert metrics.pop("nll") >= 0
    assert all(0 <= value <= 1 for value in metrics.values())
    assert np.array_equal(probs, before[0])
    assert np.array_equal(targets, before[1])


@quick
@given(st.integers(0, 10_000), st.integers(1, 30), st.randoms(use_true_random=False))
def test_the_order_of_the_castings_changes_no_metric(seed, count, random):
    probs, targets = random_probabilities(seed, count, 2)
    parts = [str(i % 4) for i in range(count)]
    order = random.sample(range(count), count)
    shuffled = evaluate(
        probs[order], targets[order], ("def", "ok"), GOOD_HALF, [parts[i] for i in order]
    )
    whole = evaluate(probs, targets, ("def", "ok"), GOOD_HALF, parts)
    assert shuffled == pytest.approx(whole, abs=1e-9)


@quick
@given(st.integers(0, 10_000), st.integers(2, 40))
def test_a_stricter_threshold_never_lets_more_defects_escape(seed, count):
    probs, targets = random_probabilities(seed, count, 2)
    parts = [str(i) for i in range(count)]
    rates = [
        evaluate(probs, targets, ("def", "ok"), OperatingPoint("ok", t), parts)
        for t in (0.2, 0.5, 0.8)
    ]
    escapes = [r.get("escape_rate", 0) for r in rates]
    overkill = [r.get("overkill_rate", 0) for r in rates]
    assert escapes == sorted(escapes)
    assert overkill == sorted(overkill, reverse=True)


# --- independent oracles ------------------------------------------------------------------------


@quick
@given(st.integers(0, 10_000), st.integers(1, 70), st.integers(2, 4))
def test_the_calibration_error_is_that_of_a_loop_over_fifteen_bins(seed, count, classes):
    probs, targets = random_probabilities(seed, count, classes)
    rows = sorted(range(count), key=lambda i: (probs[i].max(), i))
    total, start = 0.0, 0
    for b in range(15):
        size = count // 15 + (1 if b < count % 15 else 0)
        inside, start = rows[start : start + size], start + size
        if inside:
            sure = sum(probs[i].max() for i in inside) / size
            right = sum(int(probs[i].argmax() == targets[i]) for i in inside) / size
            total += abs(sure - right) * size / count
    assert expected_calibration_error(probs, targets) == pytest.approx(total, abs=1e-9)


@quick
@given(st.integers(0, 10_000), st.integers(20, 60))
def test_two_class_metrics_are_those_of_scikit_learn(seed, count):
    probs, targets = random_probabilities(seed, count, 2)
    targets[:2] = [0, 1]
    metrics = evaluate(probs, targets, ("def", "ok"), GOOD_HALF, [str(i) for i in range(count)])
    predicted = np.where(1 - probs[:, 1] >= 0.5, 0, 1)
    assert metrics["accuracy"] == pytest.approx(accuracy_score(targets, predicted))
    assert metrics["macro_f1"] == pytest.approx(f1_score(targets, predicted, average="macro"))
    assert metrics["nll"] == pytest.approx(log_loss(targets, probs, labels=[0, 1]))
    assert metrics["auroc"] == pytest.approx(roc_auc_score(targets == 0, probs[:, 0]))


@quick
@given(st.integers(0, 10_000), st.integers(20, 60), st.integers(2, 4))
def test_balanced_accuracy_and_the_constant_are_those_of_scikit_learn(seed, count, classes):
    probs, targets = random_probabilities(seed, count, classes)
    targets[:classes] = range(classes)
    metrics = evaluate(probs, targets, tuple("abcd"), OperatingPoint(None), ["p"] * count)
    wanted = balanced_accuracy_score(targets, probs.argmax(axis=1))
    assert metrics["balanced_accuracy"] == pytest.approx(wanted)
    constant = DummyClassifier(strategy="most_frequent").fit(probs, targets)
    assert metrics["constant_accuracy"] == pytest.approx(constant.score(probs, targets))
    wanted = balanced_accuracy_score(targets, constant.predict(probs))
    assert metrics["constant_balanced_accuracy"] == pytest.approx(wanted)


@quick
@given(st.integers(0, 10_000), st.integers(20, 60))
def test_with_more_classes_auroc_is_the_macro_mean_of_one_versus_rest(seed, count):
    probs, targets = random_probabilities(seed, count, 3)
    targets[:3] = [0, 1, 2]
    metrics = evaluate(probs, targets, tuple("abc"), OperatingPoint(None), ["p"] * count)
    wanted = roc_auc_score(targets, probs, multi_class="ovr", average="macro")
    assert metrics["auroc"] == pytest.approx(wanted)


def test_a_class_that_the_test_side_lacks_is_left_out_of_the_macro_means():
    probs = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    targets = np.array([0, 1, 1])
    metrics = evaluate(probs, targets, tuple("abc"), OperatingPoint(None), list("xyz"))
    assert metrics["auroc"] == pytest.approx(1.0)
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
