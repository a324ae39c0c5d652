"""What campaigns measured, put side by side: a curve per strategy and seed.

Axes: S seeds, T trainings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from jobs.campaign.ports import Trained
from models.errors import DataError

ACCURACY = "test/accuracy"
AUROC = "test/auroc"
_CONSTANT = "test/constant_"

Floats = NDArray[np.float64]
Points = Sequence[tuple[int, float]]
"""(labels paid for, value) of each training."""


@dataclass(frozen=True)
class Curves:
    """One measure of every strategy, on the same seeds.

    The constant classifier always says the commonest class of the test side.
    """

    measure: str
    labels_T: Floats  # paid for at each training, rising
    by_strategy: Mapping[str, Floats]  # values_S_T, the seeds in one order
    reference: str  # the strategy that every other one is held against
    constant_T: Floats | None = None  # mean over seeds, None where the measure has none
    accuracy: Mapping[str, float] = field(default_factory=dict)  # mean after the last training
    constant_accuracy: float | None = None  # beside it

    def differences(self) -> dict[str, Floats]:
        """`values_S_T` of every other strategy less those of the reference."""
        base_S_T = self.by_strategy[self.reference]
        return {
            k: v_S_T - base_S_T for k, v_S_T in self.by_strategy.items() if k != self.reference
        }


def gather(measure: str, campaigns: Mapping[tuple[str, int], Points], reference: str) -> Curves:
    """Put the points of campaigns, by strategy and seed, side by side.

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


def beside_the_constant(
    curves: Curves, campaigns: Mapping[tuple[str, int], Sequence[Trained]]
) -> Curves:
    """The curves with the constant classifier's, and with the accuracy of both at the end.

    Campaigns whose rounds have no such metrics leave them out.
    """
    constants = [[_constant(curves.measure, t) for t in rounds] for rounds in campaigns.values()]
    constant_T = None
    if not any(value is None for row in constants for value in row):
        constant_T = np.array(constants, dtype=np.float64).mean(axis=0)
    last = {key: rounds[-1] for key, rounds in campaigns.items()}
    accuracy = {
        name: _mean([t.metrics.get(ACCURACY) for (of, _), t in last.items() if of == name])
        for name in curves.by_strategy
    }
    return replace(
        curves,
        constant_T=constant_T,
        accuracy={name: value for name, value in accuracy.items() if value is not None},
        constant_accuracy=_mean([_constant(ACCURACY, t) for t in last.values()]),
    )


def _constant(measure: str, trained: Trained) -> float | None:
    if measure == AUROC:
        return 0.5  # of one probability for all castings, whatever it is
    kind, _, name = measure.partition("/")
    return trained.metrics.get(f"{_CONSTANT}{name}") if kind == "test" else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
