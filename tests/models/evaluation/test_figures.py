import io

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from jobs.campaign.contact_sheet import Thumbnail, draw_sheet
from jobs.compare.figure import Panel, learning_bands
from jobs.compare.statistics import band
from models.evaluation.figures import confusion_matrix, learning_curves, png, reliability_diagram


def thumbnails(count, *, colour=False):
    shape = (20, 20, 3) if colour else (20, 20)
    random = np.random.default_rng(0)
    return [
        Thumbnail(random.integers(0, 256, shape, dtype=np.uint8), f"#{i} def?")
        for i in range(count)
    ]


def probabilities(count=40):
    first = np.random.default_rng(1).random(count)
    return np.stack([first, 1 - first], axis=1), (np.arange(count) % 2).astype(np.int64)


def bands(*names, title="by part", zero=False):
    random = np.random.default_rng(2)
    labels = np.array([40.0, 60.0])
    curves = {name: band(random.random((3, 2))) for name in names}
    return Panel(title, "test/accuracy", labels, curves, zero)


FIGURES = {
    "learning bands": lambda: learning_bands(
        [bands("random", "bald"), bands("bald", title="difference", zero=True)],
        "two panels",
        "3 seeds",
        same_y=False,
    ),
    "bands of twelve strategies": lambda: learning_bands(
        [bands(*map(str, range(12)))], "many", "3 seeds", same_y=True
    ),
    "contact sheet": lambda: draw_sheet(thumbnails(7), "round 1 by bald"),
    "contact sheet in colour": lambda: draw_sheet(thumbnails(2, colour=True), "round 1"),
    "empty contact sheet": lambda: draw_sheet([], "round 1 by bald"),
    "confusion matrix": lambda: confusion_matrix(
        np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), ("def", "ok")
    ),
    "reliability diagram": lambda: reliability_diagram(*probabilities(), 0.123),
    "reliability of one casting": lambda: reliability_diagram(*probabilities(1), 0.5),
    "learning curves": lambda: learning_curves(
        {"accuracy": [(40, 0.7), (60, 0.9)], "escape_rate": [(40, 0.2)]}, "on the test side", "c"
    ),
}
every = pytest.mark.parametrize("name", FIGURES)


def texts(figure):
    figure.draw_without_rendering()
    found = [figure.get_suptitle()]
    for axis in figure.axes:
        found += [axis.get_title(), axis.get_xlabel(), axis.get_ylabel()]
        found += [text.get_text() for text in axis.texts]
        if axis.get_legend():
            found += [text.get_text() for text in axis.get_legend().get_texts()]
    return found


@every
def test_a_figure_renders_to_a_png_of_its_size(name):
    figure = FIGURES[name]()
    with Image.open(io.BytesIO(png(figure))) as image:
        image.load()
        assert image.format == "PNG"
        width, height = (round(110 * inches) for inches in figure.get_size_inches())
        assert abs(image.width - width) <= 1
        assert abs(image.height - height) <= 1
        assert len(image.convert("L").getcolors()) > 2  # something is drawn


@every
def test_the_same_input_gives_the_same_bytes(name):
    assert png(FIGURES[name]()) == png(FIGURES[name]())


@every
def test_a_figure_rendered_twice_gives_the_same_bytes(name):
    figure = FIGURES[name]()
    assert png(figure) == png(figure)


@every
def test_pyplot_is_left_alone(name):
    before = pyplot.get_fignums()
    png(FIGURES[name]())
    assert pyplot.get_fignums() == before == []


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (1, 1), (40, 40), (41, 40)])
def test_a_contact_sheet_shows_at_most_forty_castings_in_order(count, shown):
    figure = draw_sheet(thumbnails(count), "batch")
    captions = [axis.get_title() for axis in figure.axes if axis.images]
    assert captions == [f"#{i} def?" for i in range(shown)]
    assert figure.get_suptitle() == ("batch (first 40 of 41)" if count == 41 else "batch")


def test_a_contact_sheet_shows_pixels_as_they_are_not_stretched_to_full_contrast():
    dim = Thumbnail(np.full((9, 9), 100, dtype=np.uint8), "dim")
    (drawn,) = draw_sheet([dim], "batch").axes[0].images
    assert drawn.get_clim() == (0, 255)


def test_a_casting_stands_beside_its_map_where_there_is_one():
    photo, under_map = thumbnails(2, colour=True)
    pair = Thumbnail(photo.pixels, "#0", beside=under_map.pixels)
    both, alone = (axis.images[0].get_array() for axis in draw_sheet([pair, photo], "").axes[:2])
    assert np.array_equal(both, np.hstack([photo.pixels, under_map.pixels]))
    assert np.array_equal(alone, photo.pixels)


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
    found = texts(reliability_diagram(*probabilities(), 0.123))
    assert "this model, ECE 0.123" in found
    assert "40 test castings" in found


def test_learning_curves_are_drawn_against_labels_paid_for_with_a_name_each():
    figure = learning_curves({"a": [(40, 0.5), (60, 0.75)]}, "accuracy", "campaign")
    (line,) = figure.axes[0].lines
    assert line.get_xydata().tolist() == [[40, 0.5], [60, 0.75]]
    assert {"a", "accuracy", "campaign", "labels paid for"} <= set(texts(figure))


NAME = r"part$\nonsense$"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: draw_sheet([Thumbnail(np.zeros((4, 4), np.uint8), NAME)], NAME),
        lambda: confusion_matrix(np.array([0]), np.array([0]), (NAME, "ok")),
        lambda: learning_curves({NAME: [(1, 1.0)]}, "accuracy", NAME),
    ],
    ids=["contact sheet", "confusion matrix", "learning curves"],
)
def test_dollar_signs_in_the_users_names_are_not_taken_for_mathematics(draw):
    assert png(draw())


def test_a_strategy_has_one_colour_in_all_panels_and_its_own():
    panels = [bands("random", "bald"), bands("bald", zero=True)]
    left, right = learning_bands(panels, "t", "not enough seeds to claim", same_y=True).axes
    colours = {line.get_label(): line.get_color() for line in left.lines}
    assert len(set(colours.values())) == 2
    assert right.lines[-1].get_color() == colours["bald"]
    assert left.get_ylim() == right.get_ylim()


def test_more_strategies_than_colours_are_told_apart_by_their_lines():
    axis = learning_bands([bands(*map(str, range(12)))], "t", "n", same_y=True).axes[0]
    looks = {(line.get_color(), line.get_linestyle()) for line in axis.lines}
    assert len(looks) == 12


@pytest.mark.parametrize(("count", "drawn"), [(7, 7), (8, 0)])
def test_bands_are_drawn_of_no_more_strategies_than_can_be_told_apart(count: int, drawn: int):
    figure = learning_bands([bands(*map(str, range(count)))], "t", "n", same_y=True)
    assert len(figure.axes[0].collections) == drawn
    assert len(figure.legends[0].get_lines()) == count
