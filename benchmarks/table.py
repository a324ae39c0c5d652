"""The one table of `python -m benchmarks`: its rows, and how bounds are said."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

HEAD = "| work | who | measured | ours beside it | bound |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Bound:
    """What a figure should be.

    Attributes:
        least: it should not be below.
        most: it should not be above.
        unit: of both, as it is shown.
    """

    least: float = -math.inf
    most: float = math.inf
    unit: str = ""

    def judge(self, figure: float) -> str:
        """The bound in words, and whether the figure missed it."""
        words = [f"at least {self.least:g}"] if self.least > -math.inf else []
        words += [f"at most {self.most:g}"] if self.most < math.inf else []
        missed = "" if self.least <= figure <= self.most else " **missed**"
        return f"{' and '.join(words)}{self.unit}{missed}"


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        work: what is done, and to what.
        who: does it, or what of it is measured.
        measured: with its unit.
        beside: ours over it, with the spread.
        figure: what the bound is on.
        bound: it, where there is one.
    """

    work: str
    who: str
    measured: str
    beside: str = ""
    figure: float = math.nan
    bound: Bound | None = None

    def __str__(self) -> str:
        """As Markdown."""
        bound = "" if self.bound is None else self.bound.judge(self.figure)
        return f"| {' | '.join((self.work, self.who, self.measured, self.beside, bound))} |"


def show(rows: Iterable[Row]) -> None:
    """Print each as soon as it is there."""
    for row in rows:
        print(row, flush=True)
