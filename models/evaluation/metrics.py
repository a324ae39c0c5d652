"""What a model's probabilities are worth on labelled castings.

Rates are per casting, but for escape and overkill where parts are known: there a part's rate is
the mean over its castings and the estimate the mean over parts, since the castings of a part
stand or fall together. What is not defined, such as an escape rate without defects, is left out.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score

from models.evaluation.operating_point import OperatingPoint, verdicts

ECE_BINS = 15

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def evaluate(
    probs_N_C: Floats,
    targets_N: Ints,
    classes: Sequence[str],
    operating: OperatingPoint,
    parts_N: Sequence[str],
) -> dict[str, float]:
    """Every `test/` metric that is defined, without the prefix, of the pass without dropout.

    `parts_N` has the part of each casting, or its own id.
    """
    if len(targets_N) == 0:
        return {}
    good = None if operating.good is None else list(classes).index(operating.good)
    predicted_N = verdicts(torch.from_numpy(probs_N_C), good, operating.threshold).numpy()
    macro = {"labels": np.unique(targets_N), "average": "macro", "zero_division": 0}
    metrics = {
        "accuracy": float(accuracy_score(targets_N, predicted_N)),
        "macro_f1": float(f1_score(targets_N, predicted_N, **macro)),
        "nll": _negative_log_likelihood(probs_N_C, targets_N),
        "ece": expected_calibration_error(probs_N_C, targets_N),
    }
    metrics |= _constant(targets_N)
    if len(np.unique(targets_N)) > 1:
        metrics["balanced_accuracy"] = float(recall_score(targets_N, predicted_N, **macro))
    metrics |= _ranking(probs_N_C, targets_N, good)
    if good is not None:
        rejected_N = 1 - probs_N_C[:, good] >= operating.threshold
        defective_N = targets_N != good
        rates = {
            "escape_rate": rate(~rejected_N, defective_N, parts_N),
            "overkill_rate": rate(rejected_N, ~defective_N, parts_N),
        }
        metrics |= {name: value for name, value in rates.items() if value is not None}
    return metrics


def expected_calibration_error(probs_N_C: Floats, targets_N: Ints) -> float:
    """Gap between confidence and accuracy, mean over 15 bins of equal mass, in 0..1."""
    gaps = [
        abs(confidence - accuracy) * count
        for confidence, accuracy, count in calibration_bins(probs_N_C, targets_N)
    ]
    return float(sum(gaps) / len(targets_N))


def calibration_bins(
    probs_N_C: Floats, targets_N: Ints, bins: int = ECE_BINS
) -> list[tuple[float, float, int]]:
    """(mean confidence, accuracy, castings) of bins of equal mass, least confident first."""
    confidence_N = probs_N_C.max(axis=1)
    correct_N = probs_N_C.argmax(axis=1) == targets_N
    order = np.argsort(confidence_N, kind="stable")
    filled = [rows for rows in np.array_split(order, bins) if len(rows)]
    return [(float(confidence_N[b].mean()), float(correct_N[b].mean()), len(b)) for b in filled]


def _negative_log_likelihood(probs_N_C: Floats, targets_N: Ints) -> float:
    likelihood_N = probs_N_C[np.arange(len(targets_N)), targets_N]
    return float(-np.log(likelihood_N.clip(min=np.finfo(np.float64).tiny)).mean())


def _constant(targets_N: Ints) -> dict[str, float]:
    """What the classifier has that always says the commonest class of these castings.

    It has seen their labels, so no constant does better. Of one class there is nothing to balance.
    """
    counts_C = np.unique_counts(targets_N).counts
    constant = {"constant_accuracy": float(counts_C.max() / len(targets_N))}
    if len(counts_C) > 1:
        constant["constant_balanced_accuracy"] = 1 / len(counts_C)
    return constant


def _ranking(probs_N_C: Floats, targets_N: Ints, good: int | None) -> dict[str, float]:
    """AUROC: of P(defect) for two classes, else the macro mean of one-versus-rest."""
    columns = range(probs_N_C.shape[1])
    if len(columns) == 2:  # noqa: PLR2004 -- one curve tells it all
        columns = range(1) if good is None else range(good, good + 1)
    areas = []
    for column in columns:
        positive_N = targets_N == column
        if positive_N.all() or not positive_N.any():
            continue
        areas.append(float(roc_auc_score(positive_N, probs_N_C[:, column])))
    return {"auroc": sum(areas) / len(areas)} if areas else {}


def rate(missed_N: Bools, among_N: Bools, parts_N: Sequence[str]) -> float | None:
    """Share of `among_N` that is missed: mean over parts of each part's mean; None of nothing."""
    per_part: dict[str, list[bool]] = defaultdict(list)
    for row in np.flatnonzero(among_N).tolist():
        per_part[parts_N[row]].append(bool(missed_N[row]))
    if not per_part:
        return None
    return float(np.mean([np.mean(misses) for misses in per_part.values()]))
