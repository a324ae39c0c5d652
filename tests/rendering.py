"""What every figure keeps to, whoever draws it."""

import io

from matplotlib import pyplot
from PIL import Image

from models.evaluation.figures import png


def assert_renders(draw):
    """To a PNG of its size, to the same bytes each time, and without pyplot."""
    figure = draw()
    rendered = png(figure)
    with Image.open(io.BytesIO(rendered)) as image:
        image.load()
        assert image.format == "PNG"
        width, height = (round(110 * inches) for inches in figure.get_size_inches())
        assert abs(image.width - width) <= 1
        assert abs(image.height - height) <= 1
        assert len(image.convert("L").getcolors()) > 2  # something is drawn
    assert png(figure) == rendered
    assert png(draw()) == rendered
    assert pyplot.get_fignums() == []


def texts(figure):
    figure.draw_without_rendering()
    found = [figure.get_suptitle()]
    for axis in figure.axes:
        found += [axis.get_title(), axis.get_xlabel(), axis.get_ylabel()]
        found += [text.get_text() for text in axis.texts]
        if axis.get_legend():
            found += [text.get_text() for text in axis.get_legend().get_texts()]
    return found
