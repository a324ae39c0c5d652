"""Statistics of paired campaigns: by hand, as properties, against SciPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ttest_rel

from jobs.compare.curves import Curves
from jobs.compare.statistics import (
    NO_CLAIM,
    NO_CURVE,
    band,
    compare,
    curve_mean,
    holm,
    labels_needed,
    labels_to_reach,
    lower_is_better,
    of_the_curve,
    paired,
    wins,
)

values = st.floats(0, 1, allow_subnormal=False).map(lambda x: round(x, 6))


def seeds(trainings=1):
    return st.integers(2, 12).flatmap(
        lambda s: arrays(np.float64, (s, trainings), elements=values)
    )


def curves(by_strategy, labels=(40.0, 60.0), measure="test/accuracy"):
    arrays_ = {name: np.array(v, dtype=float) for name, v in by_strategy.items()}
    return Curves(measure, np.array(labels), arrays_, next(iter(arrays_)))


# by hand


def test_a_paired_difference_is_a_t_interval_of_the_differences():
    found = paired(np.array([3.0, 5.0, 7.0]), np.array([2.0, 3.0, 4.0]))  # differences 1, 2, 3
    half = 4.302653 * 1 / math.sqrt(3)  # t at 97.5 % with 2 degrees of freedom, sd 1
    assert found.mean == 2
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))
    assert found.p == pytest.approx(0.0741799)


def test_one_seed_has_a_difference_and_no_interval():
    found = paired(np.array([0.9]), np.array([0.7]))
    assert found.mean == pytest.approx(0.2)
    assert (found.low, found.high, found.p) == (None, None, None)


def test_differences_that_are_all_the_same_leave_no_width():
    equal = paired(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    assert (equal.mean, equal.low, equal.high, equal.p) == (0, 0, 0, 1)
    ahead = paired(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    assert (ahead.low, ahead.high, ahead.p) == (1, 1, 0)


def test_holm_multiplies_by_what_is_left_and_never_goes_down():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([None, None]) == [None, None]
    assert holm([]) == []


def test_the_mean_of_a_curve_is_its_area_from_the_second_training_on():
    labels = np.array([40.0, 60.0, 80.0, 140.0])
    curves_S_T = np.array([[0.0, 0.6, 0.8, 0.9], [1.0, 0.6, 0.8, 0.9]])
    by_hand = (20 * 0.7 + 60 * 0.85) / 80  # trapezia of 60 to 80 and of 80 to 140 labels
    assert curve_mean(labels, curves_S_T) == pytest.approx([by_hand, by_hand])


def test_a_curve_of_two_trainings_is_the_second_and_one_of_one_is_that():
    assert curve_mean(np.array([40.0, 60.0]), np.array([[0.1, 0.7]])) == [0.7]
    assert curve_mean(np.array([40.0]), np.array([[0.7]])) == [0.7]
    assert [of_the_curve(np.arange(n)).start for n in (1, 2, 5)] == [0, 1, 1]


def test_the_labels_that_a_curve_needs_lie_on_the_lines_between_its_trainings():
    labels, curve = np.array([40.0, 60.0, 100.0]), np.array([0.5, 0.7, 0.9])
    wanted = np.array([0.4, 0.5, 0.6, 0.7, 0.85, 0.9, 0.91])
    found = labels_needed(labels, curve, wanted)
    assert found[:-1] == pytest.approx([40, 40, 50, 60, 90, 100])
    assert found[-1] == math.inf


def test_what_a_curve_had_and_lost_again_it_needed_the_first_labels_for():
    labels, curve = np.array([40.0, 60.0, 80.0]), np.array([0.5, 0.9, 0.6])
    assert labels_needed(labels, curve, np.array([0.7])) == pytest.approx([50])


def test_labels_to_reach_a_target_are_those_of_the_first_training_that_does():
    labels = np.array([40.0, 60.0, 80.0])
    curves_S_T = np.array([[0.5, 0.9, 0.8], [0.9, 0.9, 0.9], [0.1, 0.2, 0.3]])
    assert labels_to_reach(labels, curves_S_T, 0.9).tolist() == [60, 40, math.inf]


def test_ties_are_half_a_win():
    assert wins(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 4.0])) == 1.5


def test_a_comparison_of_two_strategies():
    random = [[0.5, 0.7, 0.8], [0.5, 0.9, 0.8]]
    bald = [[0.5, 0.8, 0.96], [0.5, 0.92, 0.94]]
    found = compare(curves({"random": random, "bald": bald}, labels=(40.0, 60.0, 80.0)))
    base, other = found.rows
    assert (base.difference, base.p_holm, base.final_difference) == (None, None, None)
    assert (base.curve, other.curve) == pytest.approx(((0.75 + 0.85) / 2, (0.88 + 0.93) / 2))
    assert other.difference.mean == pytest.approx((0.13 + 0.08) / 2)
    assert other.p_holm == other.difference.p
    assert (base.final, other.final) == pytest.approx((0.8, 0.95))
    assert other.final_difference.mean == pytest.approx(0.15)
    assert base.labels_to_target == {"median": None, "seeds_reaching": 0}
    assert other.labels_to_target == {"median": None, "seeds_reaching": 1}  # of two lies beyond
    assert (other.wins, base.wins) == ({"random": 2.0}, {"bald": 0.0})
    assert (found.target, found.comparisons) == (0.95, 1)
    assert found.claim == f"{NO_CLAIM}: 2 of 10"
    assert found.best == "bald"
    assert found.best_T == pytest.approx([0.5, 0.86, 0.95])
    assert found.reference_needs_T.tolist() == [40, math.inf, math.inf]  # random ends at 0.8


def test_the_best_is_the_one_whose_curve_is_and_may_need_more_than_the_reference():
    found = compare(
        curves(
            {"random": [[0.5, 0.7, 0.9]], "worst": [[0.5, 0.1, 0.9]], "better": [[0.5, 0.6, 0.8]]},
            labels=(40.0, 60.0, 80.0),
        )
    )
    assert found.best == "better"
    assert found.reference_needs_T == pytest.approx([40, 50, 70])
    alone = compare(curves({"random": [[0.5, 0.7]]}))
    assert (alone.best, alone.comparisons) == (None, 0)


def test_where_less_is_better_targets_and_wins_turn_round():
    assert lower_is_better("test/escape_rate")
    assert not lower_is_better("labels/defects_found")
    found = compare(
        curves({"random": [[0.5, 0.3]], "bald": [[0.5, 0.1]]}, measure="test/nll"), target=0.2
    )
    assert [row.labels_to_target["median"] for row in found.rows] == [None, 60]
    assert found.rows[1].wins == {"random": 1}
    assert found.best == "bald"
    assert found.reference_needs_T.tolist() == [40, math.inf]


def test_the_target_of_a_count_is_what_the_reference_ends_with():
    found = compare(curves({"random": [[3, 5]], "bald": [[5, 9]]}, measure="labels/defects_found"))
    assert found.target == 5
    assert [row.labels_to_target["median"] for row in found.rows] == [60, 40]


def test_ten_seeds_may_claim_and_nine_may_not():
    noise = np.linspace(0, 0.01, 10)[:, None] * [1, 1, 1]
    labels = [40.0, 60.0, 80.0]
    enough = curves({"random": noise, "bald": noise * 1.1 + 0.3}, labels)
    found = compare(enough)
    assert found.claim == "supported differences: bald +0.3"
    assert found.rows[1].supported
    fewer = compare(curves({k: v[:9] for k, v in enough.by_strategy.items()}, labels))
    assert fewer.claim == f"{NO_CLAIM}: 9 of 10"
    assert not fewer.rows[1].supported
    same = compare(curves({"random": noise, "bald": noise}, labels))
    assert same.claim == "supported differences: none"


def test_one_number_of_labels_makes_no_claim_however_many_seeds():
    noise = np.linspace(0, 0.01, 10)[:, None] * [1, 1]
    found = compare(curves({"random": noise, "bald": noise * 1.1 + [0, 0.3]}))
    assert found.rows[1].p_holm < 0.001
    assert found.claim == f"{NO_CURVE}: 2 of 3"
    assert not found.rows[1].supported


def test_what_only_the_first_training_has_is_no_difference():
    noise = np.random.default_rng(0).random((10, 3))
    other = noise.copy()
    other[:, 0] += 0.5
    ahead = compare(curves({"random": noise, "bald": other}, (40.0, 60.0, 80.0)))
    assert ahead.rows[1].difference.mean == 0


# properties


@given(seeds(), st.integers(0, 2**32 - 1))
def test_the_interval_and_p_are_those_of_scipys_paired_t_test(values_S_1, seed):
    reference_S = np.random.default_rng(seed).random(len(values_S_1))
    found = paired(values_S_1[:, 0], reference_S)
    oracle = ttest_rel(values_S_1[:, 0], reference_S)
    interval = oracle.confidence_interval(0.95)
    assert found.p == pytest.approx(oracle.pvalue, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_its_step_down_procedure_rejects(ps):
    corrected = holm(ps)
    for level in (0.01, 0.05, 0.3):
        rejected, m = set(), len(ps)
        for rank, i in enumerate(sorted(range(m), key=lambda i: ps[i])):
            if ps[i] * (m - rank) > level:
                break
            rejected.add(i)
        assert {i for i, p in enumerate(corrected) if p <= level} == rejected
    assert all(p <= c <= 1 for p, c in zip(ps, corrected, strict=True))


def test_of_comparisons_without_a_difference_at_most_one_in_twenty_makes_a_claim():
    draws = np.random.default_rng(7)
    false_claims, trials = 0, 300
    for _ in range(trials):  # skewed, as accuracies near 1 are
        values_R_S_T = draws.beta(20, 3, (6, 10, 4))
        drawn = {str(r): values_S_T for r, values_S_T in enumerate(values_R_S_T)}
        found = compare(curves(drawn, (20.0, 40.0, 60.0, 80.0)))
        false_claims += any(row.supported for row in found.rows)
    assert 0 < false_claims / trials <= 0.05


@given(seeds(trainings=4), st.floats(1, 1000))
def test_a_curves_mean_lies_within_it_and_does_not_depend_on_the_unit(values_S_T, unit):
    labels = np.array([40.0, 60.0, 80.0, 140.0])
    found = curve_mean(labels, values_S_T)
    assert (found >= values_S_T[:, 1:].min(axis=1) - 1e-12).all()
    assert (found <= values_S_T[:, 1:].max(axis=1) + 1e-12).all()
    assert curve_mean(unit * labels, values_S_T) == pytest.approx(found)


@given(seeds(trainings=4))
def test_a_curve_needs_for_its_own_values_no_more_labels_than_they_cost(values_S_T):
    labels, curve_T = np.array([40.0, 60.0, 80.0, 140.0]), values_S_T[0]
    needed = labels_needed(labels, curve_T, curve_T)
    assert (needed <= labels + 1e-9).all()
    has = np.interp(needed, labels, curve_T)
    assert has == pytest.approx(curve_T.clip(min=curve_T[0]), abs=1e-9)


@given(seeds(trainings=2), st.integers(0, 2**32 - 1))
def test_wins_against_each_other_are_all_seeds(values_S_T, seed):
    others_S_T = np.random.default_rng(seed).permutation(values_S_T)
    found = compare(curves({"random": others_S_T, "bald": values_S_T}))
    assert found.rows[0].wins["bald"] + found.rows[1].wins["random"] == len(values_S_T)


@given(seeds(trainings=3))
def test_a_band_holds_its_mean_and_moves_with_it(values_S_T):
    found, moved = band(values_S_T), band(values_S_T + 5)
    assert (found.low_T <= found.mean_T).all()
    assert (found.mean_T <= found.high_T).all()
    assert moved.low_T - 5 == pytest.approx(found.low_T, abs=1e-9)


def test_one_seed_has_no_band():
    assert np.isnan(band(np.array([[0.5, 0.6]])).low_T).all()
