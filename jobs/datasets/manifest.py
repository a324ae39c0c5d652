"""Tables of castings: a manifest of a data set, and CSV files that people have edited."""

import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.datasets.files import is_there
from jobs.datasets.listing import ImageFile, Listing, nfc, side_of, split_word
from models.errors import DataError, listed

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_COLUMNS = ("path", "label", "part", "split", "mask")
_WHOLE = re.compile(r"(-?\d+)\.0+")  # what pandas makes of whole numbers in a column with gaps

Line = tuple[int, dict[str, str]]
"""Number in the file, and the value of each column, stripped; the header is line 1."""


def read_manifest(source: Path) -> Listing:
    """Read a manifest, `.csv` or `.parquet`; one of Hugging Face has the images in it.

    Raises:
        DataError: a row is wrong; its line is named.
    """
    match source.suffix.lower():
        case ".csv":
            lines = read_csv(source, ("path",))
            columns = list(lines[0][1]) if lines else []
        case ".parquet":
            columns, lines = _read_parquet(source)
        case _:
            raise DataError(f"{source}: a manifest ends in .csv or .parquet")
    _check(source, lines)
    label, part = _as_text(lines, "label"), _as_text(lines, "part")
    images = [
        ImageFile(
            _found(source.parent, row["path"]),
            nfc(label[n]) or None,
            part[n] or None,
            side_of(row.get("split", "")),
            row.get("mask") or None,
        )
        for n, row in lines
    ]
    return Listing(images, warnings=_unused(columns))


def read_csv(file: Path, wanted: Sequence[str]) -> list[Line]:
    """Read a CSV file that has at least the wanted columns; blank lines do not count.

    The names of columns may be in any case and have spaces around them.

    Raises:
        DataError: it is no such file.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            table = csv.DictReader(text, restval="", strict=True)
            columns = _columns(file, table.fieldnames or [])
            table.fieldnames = columns
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


def _columns(file: Path, header: Sequence[str]) -> list[str]:
    """The names of columns as they are meant: without spaces around them, in small letters."""
    columns = [name.strip().lower() for name in header]
    if twice := [name for name, n in Counter(columns).items() if name and n > 1]:
        raise DataError(f"{file}: more than one column {listed(twice)} in {', '.join(header)}")
    return columns


def _read_parquet(source: Path) -> tuple[list[str], list[Line]]:
    """The columns of a table, and its lines; rows that hold an image are named `table#row`."""
    import pandas as pd
    import pyarrow.parquet as pq

    try:
        schema = pq.ParquetFile(source).schema_arrow
        columns = _columns(source, schema.names)
        kinds = dict(zip(columns, schema.types, strict=True))
        names = dict(zip(columns, schema.names, strict=True))
        holds_images = "image" in kinds and _is_of_bytes(kinds["image"])
        wanted = [c for c in (*_COLUMNS, "image") if c in kinds]
        wanted = [c for c in wanted if not holds_images or c not in {"path", "image"}]
        table = pd.read_parquet(source, columns=[names[column] for column in wanted])
        rows = len(table)
        table.columns = pd.Index(wanted)
        texts = {c: list(_text(table[c], _class_names(schema, names[c]))) for c in wanted}
    except (ValueError, OSError) as error:
        raise DataError(f"{source}: not a readable manifest: {error}") from error
    if holds_images:
        texts["path"] = [f"{source.name}#{row}" for row in range(rows)]
    elif "path" not in texts and "image" in texts:
        texts["path"] = texts.pop("image")
    if "path" not in texts:
        raise DataError(f"{source}: no column path among {', '.join(map(str, schema.names))}")
    values = zip(*texts.values(), strict=True)
    return columns, [(n, dict(zip(texts, row, strict=True))) for n, row in enumerate(values, 2)]


def _is_of_bytes(kind: "pa.DataType") -> bool:
    """Whether a column holds images rather than their paths."""
    import pyarrow as pa

    types = pa.types
    return bool(types.is_struct(kind) or types.is_binary(kind) or types.is_large_binary(kind))


def _text(column: "pd.Series[Any]", names: Sequence[str]) -> list[str]:
    """A column as text; numbers that stand for class names as these, and any other for none."""
    if names and column.dtype.kind in "iuf":
        return [names[int(n)] if 0 <= n < len(names) else "" for n in column]
    return [value.strip() for value in column.astype("string").fillna("")]


def _class_names(schema: "pa.Schema", column: str) -> Sequence[str]:
    """The names that Hugging Face keeps for the numbers of a column."""
    try:
        kept = json.loads((schema.metadata or {})[b"huggingface"])
        return tuple(map(str, kept["info"]["features"][column]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()


def _as_text(lines: Sequence[Line], column: str) -> dict[int, str]:
    """A column's values by line; whole numbers that pandas wrote as `1.0` are `1` again."""
    values = {n: row.get(column, "") for n, row in lines}
    if all(_WHOLE.fullmatch(value) for value in values.values() if value):
        return {n: _WHOLE.sub(r"\1", value) for n, value in values.items()}
    return values


def _found(folder: Path, path: str) -> str:
    r"""The path as the file system spells it: ä composed or not, `/` for `\`."""
    decomposed = unicodedata.normalize("NFD", path)
    spelt = (path, nfc(path), decomposed, path.replace("\\", "/"))
    return next((p for p in spelt if is_there(folder / p)), path)


def _unused(columns: Sequence[str]) -> list[str]:
    """Say which columns may have been meant."""
    others = [column for column in columns if column and column not in {*_COLUMNS, "image"}]
    meant = [(c, near) for c in others for near in get_close_matches(c, _COLUMNS, 1, 0.75)]
    said = [f"column {c} is not read; if it is the {near}, name it so" for c, near in meant]
    if "label" not in columns:
        names = listed(others) or "none"
        said.append(f"no column label, so no casting has one; columns not read: {names}")
    return said


def _check(source: Path, lines: Sequence[Line]) -> None:
    pathless = [str(n) for n, row in lines if not row["path"]]
    if pathless:
        raise DataError(f"{source}: no path in line {listed(pathless)}")
    splits = [(n, row.get("split", "")) for n, row in lines]
    strange = [f"{n} ({split})" for n, split in splits if split and not split_word(split)]
    if strange:
        raise DataError(f"{source}: split is neither train nor test in line {listed(strange)}")
    twice = [path for path, n in Counter(row["path"] for _, row in lines).items() if n > 1]
    if twice:
        raise DataError(f"{source}: {len(twice)} paths stand in it twice: {listed(twice)}")
