"""What paired campaigns say about strategies, and how sure it is: pure statistics.

Axes: S seeds, T trainings. Campaigns of one seed share split, initial labels and initial weights,
so strategies are compared within a seed: the mean of the differences with Student's t interval,
over strategies with Holm's correction. The claim rests on the mean of the curve from its second
training on (all campaigns of a seed begin with the same labels); single label counts describe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_high

import numpy as np
from scipy import stats

from jobs.compare.curves import ACCURACY, AUROC, Curves, Floats

LEVEL = 0.95
SEEDS_TO_CLAIM = 10
TRAININGS_TO_CLAIM = 3  # the first has no choice in it, and one point more is no curve
NO_CLAIM = "not enough seeds to claim"
NO_CURVE = "not enough trainings to claim"
_TARGET = 0.95
_SHARES = frozenset({ACCURACY, AUROC, "test/balanced_accuracy", "test/macro_f1"})
_LOWER_IS_BETTER = frozenset(
    {"test/escape_rate", "test/overkill_rate", "test/nll", "test/ece", "train/loss"}
)


@dataclass(frozen=True)
class Band:
    """A mean over seeds and its t interval, each `[T]`; one seed has no interval (NaN)."""

    mean_T: Floats
    low_T: Floats
    high_T: Floats


@dataclass(frozen=True)
class Difference:
    """A mean paired difference, its interval and the p-value of no difference.

    One seed has neither interval nor p-value.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Row:
    """What is known about a strategy, as it is written down."""

    strategy: str
    curve: float  # mean over the curve and seeds
    difference: Difference | None  # of that to the reference's, None for the reference itself
    p_holm: float | None  # of `difference`, corrected for the number of strategies
    supported: bool  # whether `difference` may be claimed
    final: float  # mean of the measure after the last training
    final_difference: Difference | None  # not corrected, no claim
    labels_to_target: Mapping[str, float | None]  # median, None beyond the last; seeds_reaching
    wins: Mapping[str, float]  # by other strategy: seeds with a better curve; a tie is half


@dataclass(frozen=True)
class Comparison:
    """Every strategy's row, in the order given, and what may be claimed."""

    rows: Sequence[Row]
    seeds: int
    trainings: int
    target: float
    best: str | None  # of the others, the one whose curve is best in the mean; None without any
    best_T: Floats  # its mean after each training
    reference_needs_T: Floats  # labels at which the reference has as much; inf beyond the last

    @property
    def comparisons(self) -> int:
        """How many differences are tested, and corrected for."""
        return sum(row.difference is not None for row in self.rows)

    @property
    def shortfall(self) -> str | None:
        """Why nothing may be claimed, None where it may."""
        if self.seeds < SEEDS_TO_CLAIM:
            return f"{NO_CLAIM}: {self.seeds} of {SEEDS_TO_CLAIM}"
        if self.trainings < TRAININGS_TO_CLAIM:
            return f"{NO_CURVE}: {self.trainings} of {TRAININGS_TO_CLAIM}"
        return None

    @property
    def claim(self) -> str:
        """Which differences are supported, signed, or why none may be claimed."""
        found = [
            f"{row.strategy} {row.difference.mean:+.3g}"
            for row in self.rows
            if row.difference is not None and row.supported
        ]
        return self.shortfall or f"supported differences: {', '.join(found) or 'none'}"


def compare(curves: Curves, target: float | None = None) -> Comparison:
    """Hold every strategy against the reference.

    Labels are counted up to the target; None: 0.95 for accuracies, AUROC and macro F1, else what
    the reference reaches at the end in the mean.
    """
    reference, labels_T = curves.reference, curves.labels_T
    seeds, trainings = curves.by_strategy[reference].shape
    sign = -1 if lower_is_better(curves.measure) else 1
    finals = {name: values_S_T[:, -1] for name, values_S_T in curves.by_strategy.items()}
    means = {name: curve_mean(labels_T, v_S_T) for name, v_S_T in curves.by_strategy.items()}
    if target is None:
        target = _TARGET if curves.measure in _SHARES else float(finals[reference].mean())
    others = [name for name in curves.by_strategy if name != reference]
    differences = {name: paired(means[name], means[reference]) for name in others}
    at_end = {name: paired(finals[name], finals[reference]) for name in others}
    corrected = dict(zip(others, holm([differences[name].p for name in others]), strict=True))
    may_claim = seeds >= SEEDS_TO_CLAIM and trainings >= TRAININGS_TO_CLAIM
    rows = []
    for name, values_S_T in curves.by_strategy.items():
        p = corrected.get(name)
        row = Row(
            strategy=name,
            curve=float(means[name].mean()),
            difference=differences.get(name),
            p_holm=p,
            supported=may_claim and p is not None and p <= 1 - LEVEL,
            final=float(finals[name].mean()),
            final_difference=at_end.get(name),
            labels_to_target=_to_target(labels_T, sign * values_S_T, sign * target),
            wins={o: wins(sign * means[name], sign * means[o]) for o in means if o != name},
        )
        rows.append(row)
    best = max(others, key=lambda name: sign * float(means[name].mean()), default=None)
    best_T = curves.by_strategy[best or reference].mean(axis=0)
    needs_T = labels_needed(
        labels_T, sign * curves.by_strategy[reference].mean(axis=0), sign * best_T
    )
    return Comparison(rows, seeds, trainings, target, best, best_T, needs_T)


def _to_target(labels_T: Floats, values_S_T: Floats, target: float) -> dict[str, float | None]:
    labels_S = labels_to_reach(labels_T, values_S_T, target)
    median = float(median_high(labels_S.tolist()))
    return {
        "median": median if np.isfinite(median) else None,
        "seeds_reaching": int(np.isfinite(labels_S).sum()),
    }


def lower_is_better(measure: str) -> bool:
    """Whether less of a measure is more: errors, losses and seconds."""
    return measure in _LOWER_IS_BETTER or measure.startswith("seconds/")


def paired(values_S: Floats, reference_S: Floats) -> Difference:
    """The mean difference within seeds, with Student's t interval and two-sided p-value.

    Differences that are all the same leave an interval of no width; p is then 1 where they are 0,
    else 0.
    """
    difference_S = values_S - reference_S
    mean = float(difference_S.mean())
    if len(difference_S) == 1:
        return Difference(mean)
    # scipy.stats.ttest_rel warns where seeds agree but for rounding; its last bits are others
    half = float(_half_width(difference_S[:, None])[0])
    if half == 0:
        return Difference(mean, mean, mean, float(mean == 0))
    error = half / _quantile(len(difference_S))
    p = 2 * float(stats.t.sf(abs(mean) / error, len(difference_S) - 1))
    return Difference(mean, mean - half, mean + half, p)


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction of p-values, in the order given (Holm 1979).

    None, of a single seed, stays None.
    """
    known = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    least = 0.0
    for rank, (p, index) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - rank)))
        corrected[index] = least
    return corrected


def of_the_curve(labels_T: Floats) -> slice:
    """The trainings that a curve's mean is over: from the second on, or a single one."""
    return slice(min(1, len(labels_T) - 1), None)


def curve_mean(labels_T: Floats, values_S_T: Floats) -> Floats:
    """The mean over each curve `[S]` from the second training on, labels on a linear axis.

    That is the area below straight lines between trainings over the labels that they span.
    """
    span = of_the_curve(labels_T)
    x_T, y_S_T = labels_T[span], values_S_T[:, span]
    if len(x_T) == 1:
        return y_S_T[:, 0]
    return np.asarray(np.trapezoid(y_S_T, x_T, axis=1) / (x_T[-1] - x_T[0]))


def labels_needed(labels_T: Floats, curve_T: Floats, values_K: Floats) -> Floats:
    """Labels at which a curve first has each value `[K]`, on straight lines between trainings.

    What it begins with needs no more than its first labels; inf is what it never reaches.
    """
    needed_K = np.full(len(values_K), np.inf)
    for k, value in enumerate(values_K):
        reached = np.flatnonzero(curve_T >= value)
        if len(reached) == 0:
            continue
        after = int(reached[0])
        needed_K[k] = labels_T[after]
        if after:
            share = (value - curve_T[after - 1]) / (curve_T[after] - curve_T[after - 1])
            needed_K[k] -= (1 - share) * (labels_T[after] - labels_T[after - 1])
    return needed_K


def labels_to_reach(labels_T: Floats, values_S_T: Floats, target: float) -> Floats:
    """Labels paid for when the target is first reached, `[S]`; inf where it never is."""
    reached_S_T = values_S_T >= target
    return np.where(reached_S_T.any(axis=1), labels_T[reached_S_T.argmax(axis=1)], np.inf)


def wins(values_S: Floats, others_S: Floats) -> float:
    """On how many seeds the first value is larger; a tie counts half to each."""
    return float((values_S > others_S).sum() + 0.5 * (values_S == others_S).sum())


def band(values_S_T: Floats) -> Band:
    """Mean over seeds with the t interval of the mean at each training."""
    mean_T = values_S_T.mean(axis=0)
    half_T = _half_width(values_S_T) if len(values_S_T) > 1 else np.full_like(mean_T, np.nan)
    return Band(mean_T, mean_T - half_T, mean_T + half_T)


def _half_width(values_S_T: Floats) -> Floats:
    """Half the t interval of the mean over seeds; exactly 0 where all seeds agree."""
    seeds = len(values_S_T)
    error_T = values_S_T.std(axis=0, ddof=1) / np.sqrt(seeds)
    agreeing_T = (values_S_T == values_S_T[0]).all(axis=0)
    return np.where(agreeing_T, 0.0, error_T * _quantile(seeds))


def _quantile(seeds: int) -> float:
    return float(stats.t.ppf(0.5 + LEVEL / 2, seeds - 1))
