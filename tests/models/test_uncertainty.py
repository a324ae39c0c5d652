import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from models import uncertainty

OF_POSTERIOR = (
    uncertainty.predictive_entropy,
    uncertainty.expected_entropy,
    uncertainty.bald,
    uncertainty.bald_standard_error,
    uncertainty.variation_ratio,
)
OF_THE_DETERMINISTIC_PASS = (uncertainty.entropy, uncertainty.least_confidence, uncertainty.margin)


def doubles(values):
    return torch.tensor(values, dtype=torch.float64)


@st.composite
def posteriors(draw, least_castings=0, least_passes=1, classes=None):
    """Class probabilities from flat to one-hot, now and then with exact zeros."""
    castings = draw(st.integers(least_castings, 5))
    passes = draw(st.integers(least_passes, 6))
    classes = classes or draw(st.integers(2, 5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    shape = (castings, passes, classes)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (draw(st.sampled_from([0.01, 1.0, 10.0, 2000.0])) * logits).softmax(dim=-1)


quick = settings(max_examples=60, deadline=None)


# --- worked by hand -----------------------------------------------------------------------------


def test_entropy_of_a_coin_is_log_2_and_of_four_equal_classes_log_4():
    assert uncertainty.entropy(doubles([0.5, 0.5])).item() == pytest.approx(math.log(2))
    assert uncertainty.entropy(doubles([0.25] * 4)).item() == pytest.approx(math.log(4))


def test_zero_times_log_zero_is_zero_in_every_score():
    certain = doubles([[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    for score in OF_POSTERIOR:
        assert score(certain).tolist() == [0.0], score.__name__
    assert uncertainty.entropy(doubles([[0.0, 1.0]])).tolist() == [0.0]


def test_no_entropy_is_a_minus_zero_that_clients_would_read_as_such():
    certain = doubles([[1.0, 0.0]])
    assert math.copysign(1, uncertainty.entropy(certain).item()) == 1


def test_least_confidence_is_what_the_best_class_leaves():
    assert uncertainty.least_confidence(doubles([[0.7, 0.2, 0.1]])).item() == pytest.approx(0.3)


def test_margin_is_the_gap_between_the_two_best_classes_wherever_they_stand():
    assert uncertainty.margin(
        doubles([[0.1, 0.7, 0.2], [0.2, 0.1, 0.7]])
    ).tolist() == pytest.approx([0.5, 0.5])


def test_predictive_entropy_is_of_the_mean_and_expected_entropy_the_mean_of_entropies():
    probs = doubles([[[1.0, 0.0], [0.5, 0.5]]])  # mean: 3/4, 1/4
    of_mean = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert uncertainty.predictive_entropy(probs).item() == pytest.approx(of_mean)
    assert uncertainty.expected_entropy(probs).item() == pytest.approx(math.log(2) / 2)
    assert uncertainty.bald(probs).item() == pytest.approx(of_mean - math.log(2) / 2)


def test_bald_is_log_c_when_each_pass_is_certain_of_another_class():
    assert uncertainty.bald(torch.eye(3, dtype=torch.float64)[None]).item() == pytest.approx(
        math.log(3)
    )


def test_variation_ratio_counts_the_passes_that_are_not_with_the_mode():
    votes = [0, 0, 1, 0, 2]
    probs = torch.eye(3, dtype=torch.float64)[votes][None]
    assert uncertainty.variation_ratio(probs).item() == pytest.approx(2 / 5)


def test_variation_ratio_looks_at_votes_not_at_how_sure_they_are():
    probs = doubles([[[0.51, 0.49], [0.51, 0.49], [0.0, 1.0]]])
    assert uncertainty.variation_ratio(probs).item() == pytest.approx(1 / 3)


def test_the_standard_error_of_a_single_pass_is_unknown():
    assert torch.isnan(
        uncertainty.bald_standard_error(doubles([[[0.9, 0.1]], [[0.5, 0.5]]]))
    ).all()


def test_the_standard_error_is_zero_when_passes_agree():
    probs = doubles([[[0.7, 0.3]] * 4])
    assert uncertainty.bald_standard_error(probs).item() == pytest.approx(0, abs=1e-12)


def test_an_empty_pool_has_empty_scores():
    for score in OF_POSTERIOR:
        assert score(torch.empty(0, 3, 2)).shape == (0,), score.__name__
    for score in OF_THE_DETERMINISTIC_PASS:
        assert score(torch.empty(0, 2)).shape == (0,), score.__name__


# --- properties ---------------------------------------------------------------------------------


@quick
@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_for_two_classes_entropy_least_confidence_and_margin_rank_alike(first):
    probs = doubles([[p, 1 - p] for p in first])
    entropy = uncertainty.entropy(probs)
    least = uncertainty.least_confidence(probs)
    margin = uncertainty.margin(probs)
    assert torch.allclose(margin, 1 - 2 * least, atol=1e-12)
    clearly_more = least[:, None] > least[None, :] + 1e-6
    assert (entropy[:, None] > entropy[None, :])[clearly_more].all()


@quick
@given(posteriors(least_castings=1))
def test_bald_lies_between_zero_and_log_c(probs):
    bald = uncertainty.bald(probs)
    assert (bald >= 0).all()
    assert (bald <= math.log(probs.shape[-1]) + 1e-12).all()


@quick
@given(posteriors(least_castings=1), st.integers(2, 5))
def test_bald_is_zero_when_passes_agree(probs, passes):
    agreeing = probs[:, :1].expand(-1, passes, -1)
    assert torch.allclose(uncertainty.bald(agreeing), doubles(0.0), atol=1e-12)
    assert uncertainty.variation_ratio(agreeing).tolist() == [0.0] * len(probs)


@quick
@given(posteriors(least_castings=1), st.randoms(use_true_random=False))
def test_permuting_passes_changes_nothing(probs, random):
    order = random.sample(range(probs.shape[1]), probs.shape[1])
    for score in OF_POSTERIOR:
        torch.testing.assert_close(
            score(probs[:, order]), score(probs), atol=1e-7, rtol=0, equal_nan=True
        )


@quick
@given(posteriors(least_castings=2), st.integers(1, 4))
def test_scoring_in_chunks_is_scoring_at_once(probs, size):
    for score in OF_POSTERIOR:
        chunks = torch.cat([score(chunk) for chunk in probs.split(size)])
        torch.testing.assert_close(chunks, score(probs), atol=1e-12, rtol=0, equal_nan=True)


@quick
@given(posteriors(least_castings=1))
def test_inputs_are_never_written_to(probs):
    before = probs.clone()
    for score in OF_POSTERIOR:
        score(probs)
    for score in OF_THE_DETERMINISTIC_PASS:
        score(probs[:, 0])
    assert torch.equal(probs, before)


@quick
@given(posteriors(least_castings=1))
def test_every_score_stays_in_the_range_its_docstring_gives(probs):
    classes = probs.shape[-1]
    most = 1 - 1 / classes + 1e-12
    assert (uncertainty.least_confidence(probs[:, 0]) <= most).all()
    assert (uncertainty.least_confidence(probs[:, 0]) >= 0).all()
    assert ((uncertainty.margin(probs[:, 0]) >= 0) & (uncertainty.margin(probs[:, 0]) <= 1)).all()
    assert (uncertainty.variation_ratio(probs) <= most).all()
    assert (
        uncertainty.expected_entropy(probs) <= uncertainty.predictive_entropy(probs) + 1e-12
    ).all()


# --- independent oracles ------------------------------------------------------------------------


@quick
@given(posteriors(least_castings=1, least_passes=2))
def test_the_standard_error_is_that_of_a_leave_one_out_loop(probs):
    passes = probs.shape[1]
    for row, error in zip(probs, uncertainty.bald_standard_error(probs).tolist(), strict=True):
        left_out = []
        for k in range(passes):
            others = torch.cat([row[:k], row[k + 1 :]])[None]
            left_out.append(
                (
                    uncertainty.predictive_entropy(others) - uncertainty.expected_entropy(others)
                ).item()
            )
        spread = sum((value - np.mean(left_out)) ** 2 for value in left_out)
        assert error == pytest.approx(math.sqrt((passes - 1) / passes * spread), abs=1e-7)


@quick
@given(posteriors(least_castings=1))
def test_the_entropies_are_those_of_scipy(probs):
    array = probs.numpy()
    np.testing.assert_allclose(
        uncertainty.predictive_entropy(probs),
        scipy_entropy(array.mean(axis=1), axis=-1),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        uncertainty.expected_entropy(probs), scipy_entropy(array, axis=-1).mean(axis=1), atol=1e-12
    )


@quick
@given(posteriors(least_castings=1))
def test_bald_is_the_mean_divergence_of_the_passes_from_their_mean(probs):
    array = probs.numpy()
    mean = np.broadcast_to(array.mean(axis=1, keepdims=True), array.shape)
    divergence = scipy_entropy(array, mean, axis=-1).mean(axis=1)
    np.testing.assert_allclose(uncertainty.bald(probs), divergence, atol=1e-9)


def test_the_jackknife_covers_the_spread_over_repeated_draws_of_passes():
    # one casting, many sets of 40 passes: the mean standard error is about the true spread
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(400, 40, 2, generator=generator, dtype=torch.float64)
    probs = logits.softmax(dim=-1)
    ratio = uncertainty.bald_standard_error(probs).mean() / uncertainty.bald(probs).std()
    assert 0.85 < ratio.item() < 1.15


# --- goldens ------------------------------------------------------------------------------------


def test_three_passes_score_as_they_did_when_this_was_written():
    probs = doubles([[[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]]])
    found = {score.__name__: round(score(probs).item(), 6) for score in OF_POSTERIOR}
    assert found == GOLDEN


GOLDEN = {
    "predictive_entropy": 0.673012,
    "expected_entropy": 0.53632,
    "bald": 0.136692,
    "bald_standard_error": 0.10068,
    "variation_ratio": 0.333333,
}


def test_scores_are_those_of_baal(goldens):
    """It computes EPIG in float32."""
    posterior, theirs = goldens["posterior"], goldens["baal"]
    told = uncertainty.expected_predictive_information(posterior, posterior[:10])
    assert uncertainty.bald(posterior).tolist() == pytest.approx(theirs["bald"], abs=1e-6)
    assert uncertainty.entropy(goldens["deterministic"]).tolist() == pytest.approx(
        theirs["entropy"], abs=1e-6
    )
    assert told.tolist() == pytest.approx(theirs["epig"], abs=1e-6)
