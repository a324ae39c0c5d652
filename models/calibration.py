"""Temperature and threshold, set on the half of the audit that is kept for that.

Castings that set them never measure what they give. With too few castings nothing is set, and what
is missing is told: a threshold that three castings chose would promise something by accident.
"""

from collections.abc import Sequence

import numpy as np

from models.evaluation import Bools, Floats, Ints, rate
from models.predictor import Operating

FEWEST = 20  # castings that set a temperature
MAX_OVERKILL = 0.05
FEWEST_GOOD = round(1 / MAX_OVERKILL)  # fewer good castings cannot show so small a rate
RESOLUTION = 1e-6  # probabilities closer than this differ by rounding
_TEMPERATURES = np.geomspace(0.25, 8.0, 161)


def calibrate(
    probs_N_C: Floats,
    targets_N: Ints,
    parts_N: Sequence[str],
    classes: Sequence[str],
    good: str | None,
) -> tuple[Operating, list[str]]:
    """The operating point, and what is missing for a better one.

    Args:
        probs_N_C: probabilities of the deterministic pass at temperature 1.
        targets_N: class indices.
        parts_N: part of each casting, or its own id.
        classes: class names in the order of the columns.
        good: class that means "no defect"; without it there is no threshold to set.
    """
    shortfall = []
    chosen = 1.0
    if len(targets_N) < FEWEST or len(set(targets_N.tolist())) == 1:
        shortfall.append(f"a temperature needs {FEWEST} castings of two classes")
    else:
        chosen = temperature(probs_N_C, targets_N)
    point = Operating(good, temperature=chosen)
    if good is None:
        return point, shortfall
    good_C = list(classes).index(good)
    if int((targets_N == good_C).sum()) < FEWEST_GOOD:
        shortfall.append(
            f"a threshold for {MAX_OVERKILL:.0%} overkill needs {FEWEST_GOOD} good castings"
        )
        return point, shortfall
    defect_N = 1 - tempered(probs_N_C, chosen)[:, good_C]
    least = threshold(defect_N, targets_N == good_C, parts_N, MAX_OVERKILL)
    return Operating(good, least, chosen), shortfall


def temperature(probs_N_C: Floats, targets_N: Ints) -> float:
    """What logits are to be divided by: the likelihood is highest then (Guo 2017, section 4.2)."""
    rows = np.arange(len(targets_N))
    losses = [
        -np.log(tempered(probs_N_C, t)[rows, targets_N].clip(min=1e-300)).mean()
        for t in _TEMPERATURES
    ]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def tempered(probs_N_C: Floats, by: float) -> Floats:
    """Probabilities `[N, C]` whose logits are divided by `by`."""
    logits_N_C = np.log(probs_N_C.clip(min=1e-300)) / by
    raised_N_C = np.exp(logits_N_C - logits_N_C.max(axis=1, keepdims=True))
    quotients: Floats = raised_N_C / raised_N_C.sum(axis=1, keepdims=True)
    return quotients


def threshold(
    defect_N: Floats,
    good_N: Bools,
    parts_N: Sequence[str],
    max_overkill: float,
) -> float:
    """The least threshold of P(defect) that rejects at most `max_overkill` of the good."""
    candidates: list[float] = sorted({0.0, *(defect_N[good_N] + RESOLUTION).tolist()})
    return next(
        candidate
        for candidate in candidates  # above the last one no good casting is rejected
        if (rate(defect_N >= candidate, good_N, parts_N) or 0.0) <= max_overkill
    )
