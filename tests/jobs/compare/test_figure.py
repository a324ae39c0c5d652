"""Learning curves of strategies with their intervals."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.compare.figure import Panel, learning_bands
from jobs.compare.statistics import band
from tests.rendering import assert_renders


def bands(*names: str, title: str = "by part", zero: bool = False) -> Panel:
    random = np.random.default_rng(2)
    labels = np.array([40.0, 60.0])
    curves = {name: band(random.random((3, 2))) for name in names}
    return Panel(title, "test/accuracy", labels, curves, zero)


def beside_the_constant() -> Panel:
    return replace(bands("random", "bald"), constant_T=np.array([0.8, 0.7]))


FIGURES = {
    "beside the constant": lambda: learning_bands(
        [beside_the_constant()], "constant", "3 seeds", same_y=False
    ),
    "two panels": lambda: learning_bands(
        [bands("random", "bald"), bands("bald", title="difference", zero=True)],
        "two panels",
        "3 seeds",
        same_y=False,
    ),
    "twelve strategies": lambda: learning_bands(
        [bands(*map(str, range(12)))], "many", "3 seeds", same_y=True
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_renders_the_same_each_time_and_leaves_pyplot_alone(name: str):
    assert_renders(FIGURES[name])


def test_a_strategy_has_one_colour_in_all_panels_and_its_own():
    panels = [bands("random", "bald"), bands("bald", zero=True)]
    left, right = learning_bands(panels, "t", "not enough seeds to claim", same_y=True).axes
    colours = {line.get_label(): line.get_color() for line in left.lines}
    assert len(set(colours.values())) == 2
    assert right.lines[-1].get_color() == colours["bald"]
    assert left.get_ylim() == right.get_ylim()


def test_the_constant_classifier_has_a_line_where_the_measure_has_one():
    panels = [beside_the_constant(), bands("bald", title="difference", zero=True)]
    figure = learning_bands(panels, "t", "n", same_y=False)
    (line,) = [x for x in figure.axes[0].lines if x.get_label() == "constant classifier"]
    assert list(line.get_ydata()) == [0.8, 0.7]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["random", "bald", "constant classifier"]
    without = learning_bands([bands("random")], "t", "n", same_y=False)
    assert [text.get_text() for text in without.legends[0].get_texts()] == ["random"]


def test_more_strategies_than_colours_are_told_apart_by_their_lines():
    axis = learning_bands([bands(*map(str, range(12)))], "t", "n", same_y=True).axes[0]
    looks = {(line.get_color(), line.get_linestyle()) for line in axis.lines}
    assert len(looks) == 12


@pytest.mark.parametrize(("count", "drawn"), [(7, 7), (8, 0)])
def test_bands_are_drawn_of_no_more_strategies_than_can_be_told_apart(count: int, drawn: int):
    figure = learning_bands([bands(*map(str, range(count)))], "t", "n", same_y=True)
    assert len(figure.axes[0].collections) == drawn
    assert len(figure.legends[0].get_lines()) == count
