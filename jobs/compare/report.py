"""A comparison written down: the result, every round as CSV, and the figure."""

import json
import os
import platform
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jobs.campaign.ports import Trained
from jobs.compare.curves import Curves
from jobs.compare.evidence import evidence, rests_on, splits_in_words
from jobs.compare.figure import Panel, learning_bands
from jobs.compare.options import CompareOptions
from jobs.compare.statistics import Comparison, band, curve_mean
from jobs.compare.table import INTERVAL, markdown
from jobs.options import RunOptions
from models.evaluation import figures

_LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "mlflow", "bentoml")
_WIDE = 85  # characters of the note under each panel


def result(
    options: CompareOptions,
    curves: Curves,
    found: Comparison,
    split: Mapping[str, Any],
    run_id: str,
) -> dict[str, Any]:
    """The comparison as the command prints it, with what it takes to make it again."""
    rows = [asdict(row) | {"accuracy": curves.accuracy.get(row.strategy)} for row in found.rows]
    return {
        "comparison": options.name,
        "mlflow_run": run_id,
        "claim": found.claim,
        "evidence": evidence(curves, found, split),
        "split": split,
        "measure": curves.measure,
        "target": found.target,
        "reference": curves.reference,
        "seeds": options.seed_list(),
        "labels": [int(x) for x in curves.labels_T],
        "strategies": rows,
        "constant_classifier": _constant(curves),
        "reference_needs": _reference_needs(curves, found),
        "command": options.command(),
        "machine": _machine(),
        "versions": {"python": platform.python_version()} | {k: version(k) for k in _LIBRARIES},
    }


def _constant(curves: Curves) -> dict[str, float | None]:
    """What always saying the commonest class of the test side has; None where undefined."""
    known: dict[str, float | None] = {"curve": None, "final": None}
    if curves.constant_T is not None:
        mean = float(curve_mean(curves.labels_T, curves.constant_T[None])[0])
        known = {"curve": mean, "final": float(curves.constant_T[-1])}
    return known | {"accuracy": curves.constant_accuracy}


def _reference_needs(curves: Curves, found: Comparison) -> list[dict[str, Any]]:
    """By training from the second on: what the best strategy has, and where the reference has it.

    `needs` is None beyond the reference's last training.
    """
    if found.best is None:
        return []
    points = zip(curves.labels_T, found.best_T, found.reference_needs_T, strict=True)
    return [
        {
            "labels": int(labels),
            "strategy": found.best,
            "value": float(value),
            "needs": float(needs) if np.isfinite(needs) else None,
        }
        for labels, value, needs in points
    ][1:]


def files(
    result: Mapping[str, Any],
    curves: Curves,
    found: Comparison,
    trained: Mapping[RunOptions, Sequence[Trained]],
) -> dict[str, bytes]:
    """What is logged to MLflow, by file name."""
    return {
        "comparison.json": json.dumps(result, indent=2).encode(),
        "comparison.md": markdown(result).encode(),
        "comparison.csv": pd.json_normalize(result["strategies"]).to_csv(index=False).encode(),
        "rounds.csv": _rounds(trained),
        "comparison.png": draw(result, curves, found),
    }


def draw(result: Mapping[str, Any], curves: Curves, found: Comparison) -> bytes:
    """Mean curves, and beside them the paired differences to the reference."""
    bands = {strategy: band(v_S_T) for strategy, v_S_T in curves.by_strategy.items()}
    over_seeds = Panel(
        "mean over seeds", curves.measure, curves.labels_T, bands, constant_T=curves.constant_T
    )
    panels = [over_seeds]
    apart = {strategy: band(d_S_T) for strategy, d_S_T in curves.differences().items()}
    if apart:
        title = f"paired difference to {curves.reference}"
        panels.append(Panel(title, curves.measure, curves.labels_T, apart, zero=True))
    said = [
        f"{found.claim}. {rests_on(result)} Bands: {INTERVAL} of the mean; single label counts "
        f"describe.",
        splits_in_words(result),
        f"{result['machine']}, torch {result['versions']['torch']}",
    ]
    note = "\n".join(textwrap.fill(line, _WIDE * len(panels)) for line in said)
    title = str(result["comparison"])
    return figures.png(learning_bands(panels, title, note, same_y=False))


def _rounds(trained: Mapping[RunOptions, Sequence[Trained]]) -> bytes:
    """A row a strategy, seed and round, with every metric."""
    rows: list[dict[str, Any]] = []
    for campaign, rounds in trained.items():
        run = {"campaign": campaign.name, "strategy": campaign.strategy, "seed": campaign.seed}
        for t in rounds:
            made = {"labels": t.labels_total, "run_id": t.run_id, "version": t.version}
            rows.append({**run, "round": t.round, **made, **t.metrics})
    return pd.DataFrame(rows).to_csv(index=False).encode()


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    name = re.search(
        r"^model name\s*: *(.*)", cpuinfo.read_text() if cpuinfo.exists() else "", re.M
    )
    return f"{name[1].strip() if name else platform.processor()}, {os.cpu_count()} cores"
