import numpy as np
import pytest

from models.evaluation.figures import confusion_matrix, learning_curves, png, reliability_diagram
from tests.rendering import assert_renders, texts


def probabilities(count=40):
    first = np.random.default_rng(1).random(count)
    return np.stack([first, 1 - first], axis=1), (np.arange(count) % 2).astype(np.int64)


FIGURES = {
    "confusion matrix": lambda: confusion_matrix(
        np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), ("def", "ok")
    ),
    "reliability diagram": lambda: reliability_diagram(*probabilities(), 0.123),
    "reliability of one casting": lambda: reliability_diagram(*probabilities(1), 0.5),
    "learning curves": lambda: learning_curves(
        {"accuracy": [(40, 0.7), (60, 0.9)], "escape_rate": [(40, 0.2)]}, "on the test side", "c"
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_renders_the_same_each_time_and_leaves_pyplot_alone(name):
    assert_renders(FIGURES[name])


def test_a_confusion_matrix_counts_true_classes_in_rows():
    figure = confusion_matrix(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), ("def", "ok"))
    cells = [text.get_text() for text in figure.axes[0].texts]
    assert cells == ["1\n50.0%", "1\n50.0%", "0\n0.0%", "2\n100.0%"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["def", "ok"]


def test_a_class_without_castings_has_an_empty_row():
    figure = confusion_matrix(np.array([0]), np.array([0]), ("a", "b", "c"))
    cells = [text.get_text() for text in figure.axes[0].texts]
    assert cells == ["1\n100.0%", *["0\n0.0%"] * 8]


def test_a_reliability_diagram_names_the_error_and_the_number_of_castings():
    shown = texts(reliability_diagram(*probabilities(), 0.123))
    assert "this model, ECE 0.123" in shown
    assert "40 test castings, 20 in each bin" in shown


def test_reliability_has_few_bins_each_with_the_interval_of_its_count():
    probs_N_C = np.column_stack([np.full(40, 0.9), np.full(40, 0.1)])
    targets_N = np.array([0] * 18 + [1] * 2 + [0] * 20)
    figure = reliability_diagram(probs_N_C, targets_N, 0.1)
    (bars,) = figure.axes[0].containers
    spans = [segment[:, 1].tolist() for segment in bars.lines[2][0].get_segments()]
    # Clopper & Pearson 1934: 18 of 20 and 20 of 20
    assert np.allclose(spans, [[0.683017, 0.987651], [0.831567, 1.0]], atol=1e-6)


def test_learning_curves_are_drawn_against_labels_paid_for_with_a_name_each():
    figure = learning_curves({"a": [(40, 0.5), (60, 0.75)]}, "accuracy", "campaign")
    (line,) = figure.axes[0].lines
    assert line.get_xydata().tolist() == [[40, 0.5], [60, 0.75]]
    assert {"a", "accuracy", "campaign", "labels paid for"} <= set(texts(figure))


NAME = r"part$\nonsense$"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: confusion_matrix(np.array([0]), np.array([0]), (NAME, "ok")),
        lambda: learning_curves({NAME: [(1, 1.0)]}, "accuracy", NAME),
    ],
    ids=["confusion matrix", "learning curves"],
)
def test_dollar_signs_in_the_users_names_are_not_taken_for_mathematics(draw):
    assert png(draw())
