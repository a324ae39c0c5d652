"""Tables of castings: a manifest of a data set, and CSV files that people have edited."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jobs.datasets.castings import Side
from models.errors import DataError, listed

SIDES: tuple[Side, ...] = ("train", "test")
_COLUMNS = ("path", "label", "part", "split", "mask")

Line = tuple[int, dict[str, str]]
"""Number in the file, and the value of each column, stripped; the header is line 1."""


class ImageFile(NamedTuple):
    """One image file as the data set describes it; the path is relative to the data set."""

    path: str
    label: str | None = None
    part: str | None = None
    side: Side | None = None
    mask: str | None = None


def read_manifest(source: Path) -> list[ImageFile]:
    """Read a manifest, `.csv` or `.parquet`.

    Raises:
        DataError: a row is wrong; its line is named.
    """
    match source.suffix.lower():
        case ".csv":
            lines = read_csv(source, ("path",))
        case ".parquet":
            lines = _read_parquet(source)
        case _:
            raise DataError(f"{source}: a manifest ends in .csv or .parquet")
    _check(source, lines)
    return [
        ImageFile(
            row["path"],
            row.get("label") or None,
            row.get("part") or None,
            next((side for side in SIDES if side == row.get("split")), None),
            row.get("mask") or None,
        )
        for _, row in lines
    ]


def read_csv(file: Path, wanted: Sequence[str]) -> list[Line]:
    """Read a CSV file that has at least the wanted columns; blank lines do not count.

    Raises:
        DataError: it is no such file.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            table = csv.DictReader(text, restval="", strict=True)
            columns = table.fieldnames or []
            rows = [(table.line_num, row) for row in table]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{file}: not a readable CSV file: {error}") from error
    missing = [column for column in wanted if column not in columns]
    if missing:
        raise DataError(f"{file}: no column {' and '.join(missing)} among {', '.join(columns)}")
    wide = [str(line) for line, row in rows if any(row.pop(None, ()))]
    if wide:
        raise DataError(
            f"{file}: more fields than the {len(columns)} columns in line {listed(wide)}; "
            f'a value with a comma wants quotes ("a,b")'
        )
    return [(line, {c: (v or "").strip() for c, v in row.items()}) for line, row in rows]


def _read_parquet(source: Path) -> list[Line]:
    import pandas as pd

    try:
        table = pd.read_parquet(source).astype("string").fillna("")
    except (ValueError, OSError) as error:
        raise DataError(f"{source}: not a readable manifest: {error}") from error
    if "path" not in table:
        raise DataError(f"{source}: no column path among {', '.join(map(str, table.columns))}")
    kept = table[[column for column in _COLUMNS if column in table]]
    rows = kept.to_dict("records")
    return [(n, {str(c): str(v).strip() for c, v in row.items()}) for n, row in enumerate(rows, 2)]


def _check(source: Path, lines: Sequence[Line]) -> None:
    pathless = [str(n) for n, row in lines if not row["path"]]
    if pathless:
        raise DataError(f"{source}: no path in line {listed(pathless)}")
    strange = [
        f"{n} ({row['split']})" for n, row in lines if row.get("split") not in {*SIDES, "", None}
    ]
    if strange:
        raise DataError(f"{source}: split is neither train nor test in line {listed(strange)}")
    twice = [path for path, n in Counter(row["path"] for _, row in lines).items() if n > 1]
    if twice:
        raise DataError(f"{source}: {len(twice)} paths stand in it twice: {listed(twice)}")
