"""A comparison written down: the table in three forms, every round as CSV, and the figure."""

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from jobs.campaign.ports import Trained
from jobs.compare.figure import Panel, learning_bands
from jobs.compare.options import CompareOptions
from jobs.compare.statistics import LEVEL, NO_CLAIM, SEEDS_TO_CLAIM, Comparison, Curves, band
from jobs.options import RunOptions
from models.evaluation import figures

_LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "mlflow", "bentoml")
_INTERVAL = f"{LEVEL:.0%} t interval"


def result(
    options: CompareOptions, curves: Curves, found: Comparison, run_id: str
) -> dict[str, Any]:
    """The comparison as the command prints it, with what it takes to make it again."""
    return {
        "comparison": options.name,
        "mlflow_run": run_id,
        "claim": found.claim,
        "measure": curves.measure,
        "target": found.target,
        "reference": curves.reference,
        "seeds": options.seed_list(),
        "labels": [int(x) for x in curves.labels_T],
        "strategies": [asdict(row) for row in found.rows],
        "command": options.command(),
        "machine": _machine(),
        "versions": {"python": platform.python_version()} | {k: version(k) for k in _LIBRARIES},
    }


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
    panels = [Panel("mean over seeds", curves.measure, curves.labels_T, bands)]
    apart = {strategy: band(d_S_T) for strategy, d_S_T in curves.differences().items()}
    if apart:
        title = f"paired difference to {curves.reference}"
        panels.append(Panel(title, curves.measure, curves.labels_T, apart, zero=True))
    note = (
        f"{found.seeds} seeds, bands: {_INTERVAL} of the mean; {found.claim}\n"
        f"{result['machine']}, torch {result['versions']['torch']}"
    )
    title = str(result["comparison"])
    return figures.png(learning_bands(panels, title, note, same_y=False))


def markdown(result: Mapping[str, Any]) -> str:
    """The comparison for people: claim, table, win matrix, and how to make it again."""
    versions = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
    return "\n".join(
        [
            f"**{result['claim']}.** {len(result['seeds'])} paired seeds; the claim rests on the "
            f"difference at {result['labels'][-1]} labels, with Holm's correction over "
            f"strategies; the area (labels scaled to 0..1) describes. Labels to reach the target "
            f"are a median; `>` says that it lies beyond the last training.",
            "",
            *_strategies(result),
            "",
            "Seeds on which the row is better than the column at the end (a tie is half):",
            "",
            *_wins(result["strategies"]),
            "",
            f"Made by `{result['command']}` on {result['machine']}, {versions}; "
            f"seeds {', '.join(map(str, result['seeds']))}.",
            "",
        ]
    )


def _strategies(result: Mapping[str, Any]) -> list[str]:
    reference, last, seeds = result["reference"], result["labels"][-1], len(result["seeds"])
    columns = [
        "strategy",
        f"{result['measure']} at {last} labels",
        f"difference to {reference} ({_INTERVAL})",
        "p (Holm)",
        "supported",
        "area",
        f"difference of the area ({_INTERVAL})",
        f"labels to reach {result['target']:.4g} (seeds that do)",
    ]
    rows = [
        [
            f"`{row['strategy']}`",
            f"{row['final']:.4g}",
            _interval(row["difference"]),
            "" if row["p_holm"] is None else f"{row['p_holm']:.2g}",
            _supported(row, reference, seeds),
            f"{row['area']:.4g}",
            _interval(row["area_difference"]),
            _labels(row["labels_to_target"], last, seeds),
        ]
        for row in result["strategies"]
    ]
    return _table(columns, rows)


def _wins(strategies: Sequence[Mapping[str, Any]]) -> list[str]:
    names, rows = [row["strategy"] for row in strategies], []
    for row in strategies:
        wins = [f"{row['wins'][n]:g}" if n in row["wins"] else "" for n in names]
        rows.append([f"`{row['strategy']}`", *wins])
    return _table(["", *(f"`{name}`" for name in names)], rows)


def _rounds(trained: Mapping[RunOptions, Sequence[Trained]]) -> bytes:
    """A row a strategy, seed and round, with every metric."""
    rows: list[dict[str, Any]] = []
    for campaign, rounds in trained.items():
        run = {"campaign": campaign.name, "strategy": campaign.strategy, "seed": campaign.seed}
        for t in rounds:
            made = {"labels": t.labels_total, "run_id": t.run_id, "version": t.version}
            rows.append({**run, "round": t.round, **made, **t.metrics})
    return pd.DataFrame(rows).to_csv(index=False).encode()


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _interval(difference: Mapping[str, float | None] | None) -> str:
    if difference is None:
        return ""
    mean, low, high = (difference[key] for key in ("mean", "low", "high"))
    bounds = "" if low is None else f" ({low:+.3g} to {high:+.3g})"
    return f"{mean:+.3g}{bounds}"


def _supported(row: Mapping[str, Any], reference: str, seeds: int) -> str:
    if row["strategy"] == reference:
        return ""
    if seeds < SEEDS_TO_CLAIM:
        return NO_CLAIM
    return "yes" if row["supported"] else "no"


def _labels(found: Mapping[str, Any], last: int, seeds: int) -> str:
    median = f"> {last}" if found["median"] is None else f"{found['median']:.0f}"
    return f"{median} ({found['seeds_reaching']} of {seeds})"


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    name = re.search(
        r"^model name\s*: *(.*)", cpuinfo.read_text() if cpuinfo.exists() else "", re.M
    )
    return f"{name[1].strip() if name else platform.processor()}, {os.cpu_count()} cores"
