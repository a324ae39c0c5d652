"""A comparison as Markdown, for people: claim, tables, and how to make it again."""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.compare.curves import ACCURACY
from jobs.compare.evidence import rests_on, span_in_words, splits_in_words
from jobs.compare.statistics import LEVEL

INTERVAL = f"{LEVEL:.0%} t interval"


def markdown(result: Mapping[str, Any]) -> str:
    """The comparison for people: claim, tables, win matrix, and how to make it again."""
    versions = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
    return "\n".join(
        [
            f"**{result['claim']}.** {rests_on(result)}",
            "",
            f"{splits_in_words(result)} What stands at a single number of labels only describes. "
            f"Labels to reach the target are a median; `>` says that it lies beyond the last "
            f"training. The constant classifier always says the commonest class of the test side.",
            "",
            *_strategies(result),
            "",
            *_needs(result),
            "Seeds on which the row's curve is better in the mean than the column's (a tie is "
            "half):",
            "",
            *_wins(result["strategies"]),
            "",
            f"Made by `{result['command']}` on {result['machine']}, {versions}; "
            f"seeds {', '.join(map(str, result['seeds']))}.",
            "",
        ]
    )


def _strategies(result: Mapping[str, Any]) -> list[str]:
    of, last, seeds = result["evidence"], result["labels"][-1], len(result["seeds"])
    reference, constant = result["reference"], result["constant_classifier"]
    columns = [
        "strategy",
        f"{of['measure']}, mean over {span_in_words(of)} labels",
        f"difference to {reference} ({INTERVAL})",
        "p (Holm)",
        "supported",
        f"at {last} labels",
        f"difference there ({INTERVAL})",
        f"{ACCURACY} at {last} labels",
        f"labels to reach {result['target']:.4g} (seeds that do)",
    ]
    rows = [
        [
            f"`{row['strategy']}`",
            _number(row["curve"]),
            _interval(row["difference"]),
            "" if row["p_holm"] is None else f"{row['p_holm']:.2g}",
            _supported(row, result),
            _number(row["final"]),
            _interval(row["final_difference"]),
            _number(row["accuracy"]),
            _labels(row["labels_to_target"], last, seeds),
        ]
        for row in result["strategies"]
    ]
    numbers = {name: _number(value) for name, value in constant.items()}
    beside = ["*constant classifier*", numbers["curve"], "", "", "", numbers["final"], ""]
    return _table(columns, [*rows, [*beside, numbers["accuracy"], ""]])


def _needs(result: Mapping[str, Any]) -> list[str]:
    """How many labels the reference needs for what the best of the others has."""
    points, reference, last = result["reference_needs"], result["reference"], result["labels"][-1]
    if not points:
        return []
    best = points[0]["strategy"]
    columns = ["labels", f"`{best}` has", f"labels that `{reference}` needs for it"]
    rows = [
        [
            str(point["labels"]),
            _number(point["value"]),
            f"> {last}" if point["needs"] is None else f"{point['needs']:.0f}",
        ]
        for point in points
    ]
    text = f"`{best}` has the best curve beside `{reference}`, which is known only afterwards:"
    return [text, "", *_table(columns, rows), ""]


def _wins(strategies: Sequence[Mapping[str, Any]]) -> list[str]:
    names, rows = [row["strategy"] for row in strategies], []
    for row in strategies:
        wins = [f"{row['wins'][n]:g}" if n in row["wins"] else "" for n in names]
        rows.append([f"`{row['strategy']}`", *wins])
    return _table(["", *(f"`{name}`" for name in names)], rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _interval(difference: Mapping[str, float | None] | None) -> str:
    if difference is None:
        return ""
    mean, low, high = (difference[key] for key in ("mean", "low", "high"))
    bounds = "" if low is None else f" ({low:+.3g} to {high:+.3g})"
    return f"{mean:+.3g}{bounds}"


def _supported(row: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    if row["strategy"] == result["reference"]:
        return ""
    if (shortfall := result["evidence"]["shortfall"]) is not None:
        return str(shortfall.partition(":")[0])
    return "yes" if row["supported"] else "no"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _labels(found: Mapping[str, Any], last: int, seeds: int) -> str:
    median = f"> {last}" if found["median"] is None else f"{found['median']:.0f}"
    return f"{median} ({found['seeds_reaching']} of {seeds})"
