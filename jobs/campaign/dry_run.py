"""What a data set was understood as, before anything is trained: as JSON, and in words."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

from jobs.datasets.castings import Side, class_names, good_class
from jobs.datasets.inventory import take_inventory
from jobs.datasets.ports import Seen
from jobs.datasets.reader import DataSet
from jobs.datasets.split import PartSide, leaked_test_castings
from jobs.datasets.survey import survey
from jobs.options import RunOptions
from jobs.progress import Progress
from models.errors import DataError, listed

Understood = dict[str, Any]
"""The JSON of `run --dry-run`."""


def dry_run(options: RunOptions, progress: Progress, say: Callable[[str], None]) -> Understood:
    """Read a data set as a new campaign would, and train and remember nothing.

    Raises:
        DataError: it is not usable.
    """
    data, sides = take_inventory(_Blank(), options, progress, say)
    found = survey(data, progress)
    channels, why = found.channels(options.channels)
    say(why)
    return understood(options, data, sides, channels, found.bits.bits)


def understood(
    options: RunOptions, data: DataSet, sides: Mapping[str, Side], channels: int, bits: int
) -> Understood:
    """What a data set was understood as, given the side of each casting, channels and bits."""
    classes = Counter(c.label for c in data.castings if c.label is not None)
    labelled = Counter(sides[c.id] for c in data.castings if c.label is not None)
    return {
        "classes": {name: classes[name] for name in options.class_list or sorted(classes)},
        "sides": {
            "train": labelled["train"],
            "test": labelled["test"],
            "pool": len(data.castings) - labelled.total(),
        },
        "parts": len({casting.part_key for casting in data.castings}),
        "channels": channels,
        "bits": bits,
        "ignored": dict(data.ignored),
        "unreadable": [list(skipped) for skipped in data.unreadable],
        "warnings": [*data.warnings, *_warnings(options, data, sides)],
    }


def in_words(data: DataSet, found: Understood) -> list[str]:
    """The same for people, a line each; what cannot be read was said when it was found."""
    classes = ", ".join(f"{name} {count}" for name, count in found["classes"].items()) or "none"
    sides = found["sides"]
    colours = "grey" if found["channels"] == 1 else "colour"
    lines = [
        f"{data.root}: {len(data.castings)} castings of {found['parts']} parts, {colours}, "
        f"{found['bits']} bits; classes: {classes}",
        f"labelled for training {sides['train']}, labelled for testing {sides['test']}, "
        f"without a label in the data {sides['pool']}",
    ]
    if found["ignored"]:
        files = [f"{count} {kind}" for kind, count in found["ignored"].items()]
        lines.append(f"not read, since they are no castings: {', '.join(files)}")
    return lines + [f"note: {warning}" for warning in found["warnings"]]


def _warnings(options: RunOptions, data: DataSet, sides: Mapping[str, Side]) -> list[str]:
    """What a campaign would go on with, or be refused for, but people may not have meant."""
    found = []
    if data.duplicate_test:
        found.append(f"{data.duplicate_test} test castings left out: their bytes stand in train")
    if leaked := leaked_test_castings(data.castings, sides):
        found.append(f"{leaked} test castings show parts that stand in train; --split by-part")
    labels = {casting.label for casting in data.castings if casting.label is not None}
    try:
        classes = class_names(labels, options.class_list or sorted(labels))
    except DataError as error:
        return [*found, f"cannot be run so: {error}"]
    if good_class(classes, options.good) is None:
        found.append(
            f"which of the classes {listed(classes)} is the good one is not known, so there are "
            f"no threshold, escapes or overkill; say it with --good NAME"
        )
    return found


class _Blank:
    """A ledger that has seen nothing and forgets all but the sides that it is told."""

    def __init__(self) -> None:
        self._sides: dict[tuple[str, str], dict[str, PartSide]] = {}

    def seen(self, data: str | None = None) -> dict[str, Seen]:  # noqa: ARG002 -- as the port has it
        """Nothing."""
        return {}

    def record_seen(self, data: str, castings: Mapping[str, Seen]) -> None:
        """Forget them."""

    def sides(self, data: str, split: str) -> dict[str, PartSide]:
        """The side of every part that it was told."""
        return self._sides.get((data, split), {})

    def record_sides(self, data: str, split: str, parts: Collection[PartSide]) -> None:
        """Keep the sides for this run."""
        kept = self._sides.setdefault((data, split), {})
        kept |= {part.part: part for part in parts if part.part not in kept}
