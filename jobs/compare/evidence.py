"""What a comparison's claim rests on, in words and numbers: measure, labels, seeds and splits."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from jobs.campaign.ports import Ledger
from jobs.compare.curves import Curves
from jobs.compare.options import BY_PART, CompareOptions
from jobs.compare.statistics import LEVEL, Comparison, curve_mean, of_the_curve
from jobs.datasets.inventory import parts_placed

STATISTIC = "mean of the curve, labels on a linear axis, from the second training on"
_OWN = "every seed has its own split by part, shared by its strategies"
_SHARED = "all seeds share one test side, so that nothing is known of other parts"
_UNNAMED = "the data name no parts, so each casting is its own, and copies may stand on both sides"


def evidence(curves: Curves, found: Comparison, split: Mapping[str, Any]) -> dict[str, Any]:
    """What is tested, how often, and how probable a false claim is."""
    labels_T = curves.labels_T[of_the_curve(curves.labels_T)]
    return {
        "measure": curves.measure,
        "statistic": STATISTIC,
        "labels_from": int(labels_T[0]),
        "labels_to": int(labels_T[-1]),
        "seeds": found.seeds,
        "comparisons": found.comparisons,
        "shortfall": found.shortfall,
        "false_claim": _false_claim(found, split),
        "not_above_constant": _not_above_constant(curves, found),
    }


def _not_above_constant(curves: Curves, found: Comparison) -> list[str]:
    """The strategies whose curve is in the mean no better than always saying one class."""
    if curves.constant_T is None:
        return []
    constant = float(curve_mean(curves.labels_T, curves.constant_T[None])[0])
    return [row.strategy for row in found.rows if row.curve <= constant]


def split_of(ledger: Ledger, options: CompareOptions) -> dict[str, Any]:
    """Which split the seeds have, and how many parts of each class stand on its test side.

    `test_parts` has the counts of each seed; it is empty where the data set gives the split.
    """
    campaigns = {campaign.seed: campaign for campaign in options.campaigns()}
    placed = {str(seed): parts_placed(ledger, c) for seed, c in campaigns.items()}
    counts = {
        seed: Counter(part.stratum for part in parts.values() if part.side == "test")
        for seed, parts in placed.items()
    }
    says = _SHARED if options.campaign.split != BY_PART else _OWN
    keys = {part for parts in placed.values() for part in parts}
    if keys and keys <= ledger.seen(options.campaign.source).keys():
        says = f"{says}; {_UNNAMED}"
    return {
        "split": options.campaign.split,
        "says": says,
        "test_parts": {seed: dict(sorted(n.items())) for seed, n in counts.items() if n},
    }


def rests_on(result: Mapping[str, Any]) -> str:
    """What the claim rests on, and how probable a false one is."""
    of = result["evidence"]
    labels = f"{span_in_words(of)} labels"
    counts = f"{_count(of['comparisons'], 'comparison')}, {_count(of['seeds'], 'paired seed')}"
    said = f"Tested: {of['measure']}, {of['statistic']} ({labels}); {counts}; {of['false_claim']}."
    if not of["not_above_constant"]:
        return said
    return f"{said} No better than the constant classifier: {', '.join(of['not_above_constant'])}."


def span_in_words(of: Mapping[str, Any]) -> str:
    """The labels that the curve's mean is over."""
    first, last = of["labels_from"], of["labels_to"]
    return str(last) if first == last else f"{first} to {last}"


def splits_in_words(result: Mapping[str, Any]) -> str:
    """Which split the seeds have, and how large its test side is."""
    split = result["split"]
    said = [split["says"].capitalize(), _test_parts(split)]
    return f"{'; '.join(filter(None, said))}."


def _test_parts(split: Mapping[str, Any]) -> str:
    """How many parts of each class a test side has, the fewest and the most of all seeds."""
    seen: dict[str, list[int]] = defaultdict(list)
    for counts in split["test_parts"].values():
        for name, count in counts.items():
            seen[name].append(count)
    ranges = [
        f"{min(n)} {name}" if min(n) == max(n) else f"{min(n)} to {max(n)} {name}"
        for name, n in seen.items()
    ]
    return f"parts on a test side: {', '.join(ranges)}" if ranges else ""


def _false_claim(found: Comparison, split: Mapping[str, Any]) -> str:
    if found.shortfall is not None:
        return "nothing is claimed, so no claim is false; every number only describes"
    if not found.comparisons:
        return "one strategy alone: nothing is claimed"
    whose = "these parts, split anew" if split["split"] == BY_PART else "this one test side"
    return (
        f"the probability of one or more false claims among these comparisons is at most "
        f"{1 - LEVEL:.0%} (Holm), if the mean of the seeds' differences is about normal; "
        f"that holds for {whose}, and for a measure that was chosen before looking"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
