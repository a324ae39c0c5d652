"""Temperature and threshold, set on the half of the audit that is kept for that.

Castings that set them never measure what they give. With too few castings nothing is set, and what
is missing is told: a threshold that three castings chose would promise something by accident.
"""

from collections.abc import Callable, Sequence

import numpy as np

from models.evaluation.metrics import Bools, Floats, Ints, rate
from models.evaluation.operating_point import OperatingPoint

FEWEST = 20  # castings that set a temperature
MAX_OVERKILL = 0.05
FEWEST_GOOD = round(1 / MAX_OVERKILL)  # fewer good castings cannot show so small a rate
RESOLUTION = 1e-6  # probabilities closer than this differ by rounding
_TEMPERATURES = np.geomspace(0.25, 8.0, 161)

ProbsAt = Callable[[float], Floats]
"""Probabilities `[N, C]` of the pass without dropout, as they are served at a temperature."""


def calibrate(
    probs_at: ProbsAt,
    targets_N: Ints,
    parts_N: Sequence[str],
    classes: Sequence[str],
    good: str | None,
) -> tuple[OperatingPoint, list[str]]:
    """The operating point, and what is missing for a better one.

    Without `good`, the class that means "no defect", there is no threshold to set. `parts_N` has
    the part of each casting, or its own id. Of an ensemble each member is tempered first.
    """
    shortfall, chosen = [], 1.0
    if len(targets_N) < FEWEST or len(set(targets_N.tolist())) == 1:
        shortfall.append(f"a temperature needs {FEWEST} castings of two classes")
    else:
        chosen = temperature(probs_at, targets_N)
    point = OperatingPoint(good, temperature=chosen)
    if good is None:
        return point, shortfall
    good_C = list(classes).index(good)
    if int((targets_N == good_C).sum()) < FEWEST_GOOD:
        shortfall.append(
            f"a threshold for {MAX_OVERKILL:.0%} overkill needs {FEWEST_GOOD} good castings"
        )
        return point, shortfall
    defect_N = 1 - probs_at(chosen)[:, good_C]
    least = threshold(defect_N, targets_N == good_C, parts_N, MAX_OVERKILL)
    return OperatingPoint(good, least, chosen), shortfall


def temperature(probs_at: ProbsAt, targets_N: Ints) -> float:
    """What logits are to be divided by: the likelihood is highest then (Guo 2017, section 4.2)."""
    rows = np.arange(len(targets_N))
    losses = [-np.log(probs_at(t)[rows, targets_N].clip(min=1e-300)).mean() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def threshold(
    defect_N: Floats, good_N: Bools, parts_N: Sequence[str], max_overkill: float
) -> float:
    """The least threshold of P(defect) that rejects at most `max_overkill` of the good."""
    candidates: list[float] = sorted({0.0, *(defect_N[good_N] + RESOLUTION).tolist()})
    return next(
        candidate
        for candidate in candidates  # above the last one no good casting is rejected
        if (rate(defect_N >= candidate, good_N, parts_N) or 0.0) <= max_overkill
    )
