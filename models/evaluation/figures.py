"""Pictures that people look at: confusion, reliability, learning curves.

Each function returns a matplotlib figure, drawn without a display and without pyplot's global
state; `png` turns one into bytes.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix as count_confusions

from models.evaluation.metrics import calibration_bins

_DPI = 110
_BINS, _PER_BIN = 8, 20  # of a reliability diagram


def png(figure: Figure) -> bytes:
    """Render a figure; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # it moves the axes a little at every drawing
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


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
    names = [plain(c) for c in classes]
    axis.set_xticks(range(len(classes)), names, rotation=30, ha="right")
    axis.set_yticks(range(len(classes)), names)
    axis.set_xlabel("verdict")
    axis.set_ylabel("true class")
    figure.colorbar(image, label="share of the true class")
    return figure


def reliability_diagram(
    probs_N_C: NDArray[np.float64], targets_N: NDArray[np.int64], ece: float
) -> Figure:
    """How often a verdict of a given confidence is right, with 95 % intervals (Clopper-Pearson).

    Bins are of equal mass, at least `_PER_BIN` castings each, at most `_BINS`. `ece` is of finer
    ones, as the metric of that name.
    """
    count = len(targets_N)
    bins = calibration_bins(probs_N_C, targets_N, max(1, min(_BINS, count // _PER_BIN)))
    confidences, accuracies, sizes = (np.array(column) for column in zip(*bins, strict=True))
    each = " or ".join(str(size) for size in sorted(set(sizes.tolist())))
    intervals = [binomtest(round(a * n), n).proportion_ci() for _, a, n in bins]
    spread = [accuracies - [i.low for i in intervals], [i.high for i in intervals] - accuracies]
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axis = figure.add_subplot()
    axis.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfectly calibrated")
    axis.errorbar(
        confidences,
        accuracies,
        np.clip(spread, 0, None),
        marker="o",
        capsize=3,
        label=f"this model, ECE {ece:.3f}",
    )
    axis.set_xlim(min(0.5, 1 / probs_N_C.shape[1]) - 0.02, 1.01)
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("confidence of the verdict")
    axis.set_ylabel("share that is right")
    axis.set_title(f"{count} test castings, {each} in each bin", fontsize=10)
    axis.legend(loc="upper left", fontsize=8)
    return figure


def learning_curves(
    curves: Mapping[str, Sequence[tuple[int, float]]], measure: str, title: str
) -> Figure:
    """A measure against the labels paid for, one line per campaign."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.add_subplot()
    for name, points in curves.items():
        axis.plot([x for x, _ in points], [y for _, y in points], marker="o", label=plain(name))
    axis.set_xlabel("labels paid for")
    axis.set_ylabel(measure)
    axis.set_title(plain(title), fontsize=11)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure


def plain(name: str) -> str:
    """A name as it stands: matplotlib takes what lies between dollars for mathematics."""
    return name.replace("$", r"\$")
