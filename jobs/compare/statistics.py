"""What paired campaigns say about strategies, and how sure it is: pure statistics.

Axes: S seeds, T trainings. Campaigns of one seed share initial labels, test set and initial
weights, so strategies are compared within a seed: the mean of the differences with Student's t
interval, over strategies with Holm's correction. The claim rests on the value after the last
training; everything else describes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_high

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from models.errors import DataError

LEVEL = 0.95
SEEDS_TO_CLAIM = 10
NO_CLAIM = "not enough seeds to claim"
_TARGET = 0.95
_SHARES = frozenset({"test/accuracy", "test/auroc", "test/macro_f1"})
_LOWER_IS_BETTER = frozenset(
    {"test/escape_rate", "test/overkill_rate", "test/nll", "test/ece", "train/loss"}
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """One measure of every strategy, on the same seeds."""

    measure: str
    labels_T: Floats  # paid for at each training, rising
    by_strategy: Mapping[str, Floats]  # values_S_T, the seeds in one order
    reference: str  # the strategy that every other one is held against

    def differences(self) -> dict[str, Floats]:
        """`values_S_T` of every other strategy less those of the reference."""
        base_S_T = self.by_strategy[self.reference]
        return {
            k: v_S_T - base_S_T for k, v_S_T in self.by_strategy.items() if k != self.reference
        }


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
    final: float  # mean of the measure after the last training
    difference: Difference | None  # of that to the reference's, None for the reference itself
    p_holm: float | None  # of `difference`, corrected for the number of strategies
    supported: bool  # whether `difference` may be claimed
    area: float  # mean area under the curve, labels scaled to 0..1
    area_difference: Difference | None  # not corrected
    labels_to_target: Mapping[str, float | None]  # median, None beyond the last; seeds_reaching
    wins: Mapping[str, float]  # by other strategy: seeds on which it ends better; a tie is half


@dataclass(frozen=True)
class Comparison:
    """Every strategy's row, in the order given, and what may be claimed."""

    rows: Sequence[Row]
    seeds: int
    target: float

    @property
    def claim(self) -> str:
        """Which differences are supported, signed, or that there are too few seeds."""
        if self.seeds < SEEDS_TO_CLAIM:
            return f"{NO_CLAIM}: {self.seeds} of {SEEDS_TO_CLAIM}"
        found = [
            f"{row.strategy} {row.difference.mean:+.3g}"
            for row in self.rows
            if row.difference is not None and row.supported
        ]
        return f"supported differences: {', '.join(found) or 'none'}"


def compare(curves: Curves, target: float | None = None) -> Comparison:
    """Hold every strategy against the reference.

    Labels are counted up to the target; None: 0.95 for accuracy, AUROC and macro F1, else what the
    reference reaches at the end in the mean.
    """
    seeds = len(curves.by_strategy[curves.reference])
    finals = {name: values_S_T[:, -1] for name, values_S_T in curves.by_strategy.items()}
    areas = {name: area(curves.labels_T, v_S_T) for name, v_S_T in curves.by_strategy.items()}
    if target is None:
        mean = float(finals[curves.reference].mean())
        target = _TARGET if curves.measure in _SHARES else mean
    others = [name for name in curves.by_strategy if name != curves.reference]
    finally_ = {name: paired(finals[name], finals[curves.reference]) for name in others}
    apart = {name: paired(areas[name], areas[curves.reference]) for name in others}
    corrected = dict(zip(others, holm([finally_[name].p for name in others]), strict=True))
    sign = -1 if lower_is_better(curves.measure) else 1
    rows = []
    for name, values_S_T in curves.by_strategy.items():
        labels_S = labels_to_reach(curves.labels_T, sign * values_S_T, sign * target)
        median, p = float(median_high(labels_S.tolist())), corrected.get(name)
        to_target = {
            "median": median if np.isfinite(median) else None,
            "seeds_reaching": int(np.isfinite(labels_S).sum()),
        }
        row = Row(
            strategy=name,
            final=float(finals[name].mean()),
            difference=finally_.get(name),
            p_holm=p,
            supported=seeds >= SEEDS_TO_CLAIM and p is not None and p <= 1 - LEVEL,
            area=float(areas[name].mean()),
            area_difference=apart.get(name),
            labels_to_target=to_target,
            wins={
                other: wins(sign * finals[name], sign * finals[other])
                for other in curves.by_strategy
                if other != name
            },
        )
        rows.append(row)
    return Comparison(rows, seeds, target)


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


def area(labels_T: Floats, values_S_T: Floats) -> Floats:
    """Area under each curve `[S]`, labels on a linear axis scaled to 0..1: a mean value.

    A single training has its own value.
    """
    if len(labels_T) == 1:
        return values_S_T[:, 0]
    scaled_T = (labels_T - labels_T[0]) / (labels_T[-1] - labels_T[0])
    return np.asarray(np.trapezoid(values_S_T, scaled_T, axis=1))


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


def gather(
    measure: str, campaigns: Mapping[tuple[str, int], Sequence[tuple[int, float]]], reference: str
) -> Curves:
    """Put the (labels, value) points of campaigns, by strategy and seed, side by side.

    Raises:
        DataError: campaigns stand at different numbers of labels.
    """
    first, points = next(iter(campaigns.items()))
    labels = [x for x, _ in points]
    for key, others in campaigns.items():
        if [x for x, _ in others] != labels:
            raise DataError(
                f"{key[0]} with seed {key[1]} was measured at {[x for x, _ in others]} labels, "
                f"{first[0]} with seed {first[1]} at {labels}: these cannot be paired; leave one "
                f"of them out, or compare fewer --rounds"
            )
    names = list(dict.fromkeys(strategy for strategy, _ in campaigns))
    seeds = list(dict.fromkeys(seed for _, seed in campaigns))
    values = {n: np.array([[y for _, y in campaigns[n, s]] for s in seeds]) for n in names}
    return Curves(measure, np.array(labels, dtype=np.float64), values, reference)


def _half_width(values_S_T: Floats) -> Floats:
    """Half the t interval of the mean over seeds; exactly 0 where all seeds agree."""
    seeds = len(values_S_T)
    error_T = values_S_T.std(axis=0, ddof=1) / np.sqrt(seeds)
    agreeing_T = (values_S_T == values_S_T[0]).all(axis=0)
    return np.where(agreeing_T, 0.0, error_T * _quantile(seeds))


def _quantile(seeds: int) -> float:
    return float(stats.t.ppf(0.5 + LEVEL / 2, seeds - 1))
