"""Mean learning curves over seeds, with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from jobs.compare.curves import Floats
from jobs.compare.statistics import Band
from models.evaluation.figures import plain

_LINES = ("-", "--", ":")  # of the first ten curves, of the next ten, ...
_BANDS = 7  # more that overlap tell nothing
_CONSTANT = "constant classifier"


@dataclass(frozen=True)
class Panel:
    """Curves with their bands over the labels `[T]`; `zero` draws the line of no difference.

    `constant_T` is drawn below them: what the classifier has that always says one class.
    """

    title: str
    measure: str
    labels_T: Floats
    bands: Mapping[str, Band]
    zero: bool = False
    constant_T: Floats | None = None


def learning_bands(panels: Sequence[Panel], title: str, note: str, *, same_y: bool) -> Figure:
    """Mean curves over seeds with their intervals, panels side by side.

    A name has one colour in all panels; the note stands under them. Of more than seven names only
    the means are drawn.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.bands))
    banded = len(names) <= _BANDS
    figure = Figure(figsize=(5.6 * len(panels) + 1.4, 4.6), layout="constrained")
    figure.suptitle(plain(title), fontsize=12)
    figure.supxlabel(
        plain(note if banded else f"{note}; bands of so many are not drawn"), fontsize=8
    )
    looks = {name: (f"C{i}", _LINES[i // 10 % len(_LINES)]) for i, name in enumerate(names)}
    axes = figure.subplots(1, len(panels), sharey=same_y, squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        if panel.zero:
            axis.axhline(0, color="grey", linestyle=":")
        if panel.constant_T is not None:
            axis.plot(panel.labels_T, panel.constant_T, "-.", color="black", label=_CONSTANT)
        for name, band in panel.bands.items():
            colour, line = looks[name]
            x_T = panel.labels_T
            axis.plot(x_T, band.mean_T, line, color=colour, marker="o", label=plain(name))
            if banded:
                axis.fill_between(x_T, band.low_T, band.high_T, color=colour, alpha=0.18, lw=0)
        axis.set_title(plain(panel.title), fontsize=10)
        axis.set_xlabel("labels paid for")
        axis.set_ylabel(plain(panel.measure))
        axis.grid(alpha=0.3)
    lines = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    shown = [lines[name] for name in (*map(plain, names), _CONSTANT) if name in lines]
    figure.legend(handles=shown, loc="outside right upper", fontsize=8)
    return figure
