import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.operating_point import verdicts

quick = settings(max_examples=60, deadline=None)


def doubles(values):
    return torch.tensor(values, dtype=torch.float64)


def test_from_the_threshold_on_a_casting_is_rejected():
    probs = doubles([[0.24, 0.76], [0.25, 0.75], [0.26, 0.74]])  # defect, good
    assert verdicts(probs, good=1, threshold=0.25).tolist() == [1, 0, 0]


def test_a_rejected_casting_is_called_by_its_likeliest_defect_even_where_good_is_likelier():
    probs = doubles([[0.5, 0.2, 0.3], [0.9, 0.06, 0.04]])  # good, crack, pore
    assert verdicts(probs, good=0, threshold=0.4).tolist() == [2, 0]
    assert verdicts(probs, good=0, threshold=0.05).tolist() == [2, 1]


def test_a_threshold_of_zero_rejects_everything_and_one_above_one_nothing():
    probs = doubles([[0.0, 1.0], [1.0, 0.0]])
    assert verdicts(probs, good=1, threshold=0.0).tolist() == [0, 0]
    assert verdicts(probs, good=1, threshold=1.1).tolist() == [1, 1]


def test_without_a_good_class_the_likeliest_class_is_the_verdict():
    probs = doubles([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]])
    assert verdicts(probs, good=None, threshold=0.1).tolist() == [1, 0]


def test_equally_likely_classes_go_to_the_first():
    assert verdicts(doubles([[0.5, 0.5]]), good=None, threshold=0.5).tolist() == [0]
    assert verdicts(doubles([[0.3, 0.4, 0.3]]), good=1, threshold=0.5).tolist() == [0]


def test_no_castings_have_no_verdicts():
    for good in (None, 1):
        assert verdicts(torch.empty(0, 2), good, 0.5).shape == (0,)


@quick
@given(st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1), st.floats(0, 1))
def test_with_a_good_class_rejection_is_one_minus_its_probability_against_the_threshold(
    weights, threshold
):
    probs = doubles(weights) / doubles(weights).sum(dim=1, keepdim=True)
    before = probs.clone()
    told = verdicts(probs, good=2, threshold=threshold)
    assert torch.equal(told != 2, 1 - probs[:, 2] >= threshold)
    assert torch.equal(probs, before)
