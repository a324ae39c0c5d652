"""Files that people fill in with labels: written as `.csv` or `.xlsx`, read as they were saved."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.campaign.ports import SKIP
from jobs.datasets.tables import as_csv, as_excel, read_table
from models.errors import DataError, listed

COLUMNS = ("casting", "path", "label", "annotator", "file", "classes", "reason")
CANNOT_TELL = "skip"  # what people write where they cannot tell
_NOBODY = "person"  # who labelled, where the file does not say
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d*)?")


@dataclass(frozen=True)
class Filled:
    """A line that somebody has filled in."""

    line: int  # of the file
    casting: str
    written: str  # what stands in the column `label`
    label: str | None  # the class that is meant, or SKIP; None where that is neither
    annotator: str


def read_filled(file: Path, classes: Sequence[str]) -> list[Filled]:
    """The lines of a file that have a label.

    Raises:
        DataError: it is no table with the columns `casting` and `label`.
    """
    return [
        Filled(
            line,
            row["casting"].strip().lower(),
            row["label"],
            class_meant(row["label"], classes),
            row.get("annotator", "").strip() or _NOBODY,
        )
        for line, row in read_table(file, ("casting", "label"))
        if row["label"].strip()
    ]


def class_meant(written: str, classes: Sequence[str]) -> str | None:
    """The class that a label names, in other case, with other spaces, or as another number.

    A spreadsheet turns 0 into 0.0 and 01 into 1. SKIP for `skip`, None where no class, or no one
    class, is meant.
    """
    if written.strip() in classes:
        return written.strip()
    for likeness in (_folded, _number):
        wanted = likeness(written)
        meant = [name for name in classes if wanted is not None and likeness(name) == wanted]
        if len(meant) == 1:
            return meant[0]
    return SKIP if _folded(written) == CANNOT_TELL else None


def named(label: str) -> str:
    """A label as people write it."""
    return CANNOT_TELL if label == SKIP else label


def told_otherwise(filled: Iterable[Filled]) -> list[str]:
    """A line for each class of which labels were read that are written otherwise."""
    counts: dict[str, Counter[str]] = {}
    for row in filled:
        if row.label is not None and row.written != named(row.label):
            counts.setdefault(named(row.label), Counter())[repr(row.written)] += 1
    return [
        f"{counted(ways.total(), 'label')} read as {label}: {listed(sorted(ways))}"
        for label, ways in counts.items()
    ]


def counted(count: int, what: str) -> str:
    """A number of things in words."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def write_form(file: Path, rows: Iterable[tuple[str, Path, str]], classes: Sequence[str]) -> None:
    """Write castings (id, path, reason) for people to fill in; a name in `.xlsx` makes it Excel.

    Raises:
        DataError: the suffix names a kind of file that is not written.
    """
    if file.suffix.lower() in {".xls", ".ods"}:
        raise DataError(f"{file}: labels are written to .csv or .xlsx")
    choices = (*classes, CANNOT_TELL)
    lines = [
        (casting, str(path), None, None, path.name, ", ".join(choices), reason)
        for casting, path, reason in rows
    ]
    excel = file.suffix.lower() == ".xlsx"
    content = as_excel(COLUMNS, lines, {"label": choices}) if excel else as_csv(COLUMNS, lines)
    draft = file.with_name(f".{file.name}.draft")
    draft.write_bytes(content)
    draft.replace(file)


def _folded(text: str) -> str:
    return "".join(text.split()).casefold()


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None
