"""Campaigns side by side, and what the constant classifier has beside them."""

import pytest

from jobs.campaign.ports import Trained
from jobs.compare.curves import beside_the_constant, gather
from models.errors import DataError

BALANCED = "test/balanced_accuracy"


def a_round(labels: int, **metrics: float) -> Trained:
    named = {f"test/{name}": value for name, value in metrics.items()}
    named["labels/defects_found"] = 7.0
    return Trained(0, "run", "1", labels, named)


def beside(measure: str, campaigns: dict[tuple[str, int], list[Trained]]):
    points = {
        key: [(t.labels_total, t.metrics.get(measure, 0.5)) for t in rounds]
        for key, rounds in campaigns.items()
    }
    return beside_the_constant(gather(measure, points, "random"), campaigns)


def test_campaigns_are_gathered_by_strategy_and_seed():
    points = {("random", 3): [(40, 0.5)], ("bald", 3): [(40, 0.6)]}
    points |= {("random", 7): [(40, 0.7)], ("bald", 7): [(40, 0.8)]}
    found = gather("m", points, "random")
    assert {k: v.tolist() for k, v in found.by_strategy.items()} == {
        "random": [[0.5], [0.7]],
        "bald": [[0.6], [0.8]],
    }


def test_campaigns_at_other_labels_cannot_be_paired():
    points = {("random", 0): [(40, 0.5), (60, 0.6)], ("bald", 0): [(40, 0.6), (59, 0.7)]}
    with pytest.raises(DataError, match=r"bald with seed 0 was measured at \[40, 59\]"):
        gather("m", points, "random")


def test_the_constant_is_the_mean_over_the_test_sides_of_the_seeds():
    campaigns = {
        ("random", 0): [a_round(40, accuracy=0.7, constant_accuracy=0.8)],
        ("bald", 0): [a_round(40, accuracy=0.9, constant_accuracy=0.8)],
        ("random", 1): [a_round(40, accuracy=0.8, constant_accuracy=0.6)],
        ("bald", 1): [a_round(40, accuracy=0.8, constant_accuracy=0.6)],
    }
    found = beside("test/accuracy", campaigns)
    assert found.constant_T == pytest.approx([0.7])
    assert found.accuracy == pytest.approx({"random": 0.75, "bald": 0.85})
    assert found.constant_accuracy == pytest.approx(0.7)


def test_each_measure_has_the_constant_of_its_own_or_none():
    metrics = {
        "accuracy": 0.9,
        "constant_accuracy": 0.8,
        "balanced_accuracy": 0.6,
        "constant_balanced_accuracy": 0.25,
        "auroc": 0.7,
    }
    campaigns = {("random", 0): [a_round(40, **metrics), a_round(60, **metrics)]}
    assert beside(BALANCED, campaigns).constant_T == pytest.approx([0.25, 0.25])
    assert beside("test/auroc", campaigns).constant_T == pytest.approx([0.5, 0.5])
    of_counts = beside("labels/defects_found", campaigns)
    assert of_counts.constant_T is None
    assert of_counts.constant_accuracy == 0.8


def test_rounds_from_before_the_constant_was_measured_leave_it_out():
    old, new = a_round(40, accuracy=0.9), a_round(40, accuracy=0.9, constant_accuracy=0.8)
    found = beside("test/accuracy", {("random", 0): [new], ("bald", 0): [old]})
    assert (found.constant_T, found.constant_accuracy) == (None, None)
    assert found.accuracy == {"random": 0.9, "bald": 0.9}
