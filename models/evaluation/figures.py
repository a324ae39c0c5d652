"""Pictures that people look at: contact sheet, confusion, reliability, learning curves.

Each function returns a matplotlib figure, drawn without a display and without pyplot's global
state; `png` turns one into bytes.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix as count_confusions

from jobs.compare.statistics import Band, Floats
from models.evaluation.metrics import calibration_bins

SHEET = 40  # castings on a contact sheet, so that each can still be seen
_DPI = 110
_LINES = ("-", "--", ":")  # of the first ten curves, of the next ten, ...
_BANDS = 7  # more that overlap tell nothing


@dataclass(frozen=True)
class Thumbnail:
    """One casting of a contact sheet: uint8 `[height, width]` or `[height, width, 3]`.

    `beside` is drawn to its right: the same casting under a map, of the same shape.
    """

    pixels: NDArray[np.uint8]
    caption: str
    beside: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Panel:
    """Curves with their bands over the labels `[T]`; `zero` draws the line of no difference."""

    title: str
    measure: str
    labels_T: Floats
    bands: Mapping[str, Band]
    zero: bool = False


def png(figure: Figure) -> bytes:
    """Render a figure; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # it moves the axes a little at every drawing
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def contact_sheet(thumbnails: Sequence[Thumbnail], title: str) -> Figure:
    """The first castings of a batch in order of choice, with their captions."""
    shown = thumbnails[:SHEET]
    paired = any(one.beside is not None for one in shown)
    columns, width, height = (4, 3.2, 1.9) if paired else (5, 1.9, 2.25)
    rows = max(1, math.ceil(len(shown) / columns))
    figure = Figure(figsize=(width * columns, height * rows + 0.6), layout="constrained")
    if paired:
        figure.supxlabel(
            "right: what speaks for a defect (orange), most of all (ring)", fontsize=8
        )
    more = f" (first {len(shown)} of {len(thumbnails)})" if len(shown) < len(thumbnails) else ""
    figure.suptitle(_plain(title + more), fontsize=11)
    for index, axis in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axis.axis("off")
        if index < len(shown):
            axis.imshow(_pair(shown[index]), cmap="gray", vmin=0, vmax=255)
            axis.set_title(_plain(shown[index].caption), fontsize=7)
    return figure


def _pair(one: Thumbnail) -> NDArray[np.uint8]:
    return one.pixels if one.beside is None else np.hstack([one.pixels, one.beside])


def confusion_matrix(
    predicted_N: NDArray[np.int64], targets_N: NDArray[np.int64], classes: Sequence[str]
) -> Figure:
    """Castings of each class (rows) by verdict (columns); shaded by the share of the row."""
    counts = count_confusions(targets_N, predicted_N, labels=range(len(classes)))
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    edge = 2.2 + 0.7 * len(classes)
    figure = Figure(figsize=(edge + 1, edge), layout="constrained")
    axis = figure.add_subplot()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        colour = "white" if shares[row, column] > 0.5 else "black"  # noqa: PLR2004 -- readable
        text = f"{counts[row, column]}\n{shares[row, column]:.1%}"
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    names = [_plain(c) for c in classes]
    axis.set_xticks(range(len(classes)), names, rotation=30, ha="right")
    axis.set_yticks(range(len(classes)), names)
    axis.set_xlabel("verdict")
    axis.set_ylabel("true class")
    figure.colorbar(image, label="share of the true class")
    return figure


def reliability_diagram(
    probs_N_C: NDArray[np.float64], targets_N: NDArray[np.int64], ece: float
) -> Figure:
    """How often a verdict of a given confidence is right, in bins of equal mass."""
    bins = calibration_bins(probs_N_C, targets_N)
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axis = figure.add_subplot()
    axis.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfectly calibrated")
    axis.plot(
        [confidence for confidence, _, _ in bins],
        [accuracy for _, accuracy, _ in bins],
        marker="o",
        label=f"this model, ECE {ece:.3f}",
    )
    axis.set_xlim(min(0.5, 1 / probs_N_C.shape[1]) - 0.02, 1.01)
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("confidence of the verdict")
    axis.set_ylabel("share that is right")
    axis.set_title(f"{len(targets_N)} test castings", fontsize=10)
    axis.legend(loc="upper left", fontsize=8)
    return figure


def learning_curves(
    curves: Mapping[str, Sequence[tuple[int, float]]], measure: str, title: str
) -> Figure:
    """A measure against the labels paid for, one line a campaign."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.add_subplot()
    for name, points in curves.items():
        axis.plot([x for x, _ in points], [y for _, y in points], marker="o", label=_plain(name))
    axis.set_xlabel("labels paid for")
    axis.set_ylabel(measure)
    axis.set_title(_plain(title), fontsize=11)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure


def learning_bands(panels: Sequence[Panel], title: str, note: str, *, same_y: bool) -> Figure:
    """Mean curves over seeds with their intervals, panels side by side.

    A name has one colour in all panels; the note stands under them. Of more than seven names only
    the means are drawn.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.bands))
    banded = len(names) <= _BANDS
    figure = Figure(figsize=(5.6 * len(panels) + 1.4, 4.6), layout="constrained")
    figure.suptitle(_plain(title), fontsize=12)
    figure.supxlabel(
        _plain(note if banded else f"{note}; bands of so many are not drawn"), fontsize=8
    )
    looks = {name: (f"C{i}", _LINES[i // 10 % len(_LINES)]) for i, name in enumerate(names)}
    axes = figure.subplots(1, len(panels), sharey=same_y, squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        if panel.zero:
            axis.axhline(0, color="grey", linestyle=":")
        for name, band in panel.bands.items():
            colour, line = looks[name]
            x_T = panel.labels_T
            axis.plot(x_T, band.mean_T, line, color=colour, marker="o", label=_plain(name))
            if banded:
                axis.fill_between(x_T, band.low_T, band.high_T, color=colour, alpha=0.18, lw=0)
        axis.set_title(_plain(panel.title), fontsize=10)
        axis.set_xlabel("labels paid for")
        axis.set_ylabel(_plain(panel.measure))
        axis.grid(alpha=0.3)
    lines = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    shown = [lines[_plain(name)] for name in names]
    figure.legend(handles=shown, loc="outside right upper", fontsize=8)
    return figure


def _plain(name: str) -> str:
    """A name as it stands: matplotlib takes what lies between dollars for mathematics."""
    return name.replace("$", r"\$")
