"""The bytes of a casting: a file, or a row of a table in which images lie (`name.parquet#row`)."""

import re
import stat
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

MAX_BYTES = 2**30  # no photograph of as many pixels as we read has more
_ROW = re.compile(r"(.+\.parquet)#(\d+)", re.IGNORECASE | re.DOTALL)

Stamp = tuple[int, int]
"""When a file was changed, in ns, and its bytes: by them it is still the one that was read."""


def stamp(root: Path, path: str) -> Stamp:
    """Tell whether a casting's file is still the one that was read.

    Raises:
        OSError: it is no regular file, larger than any photograph, or not there.
    """
    file, row = _located(root, path)
    try:
        status = file.stat()
    except ValueError as error:  # a NUL in the path
        raise OSError(str(error)) from error
    if stat.S_ISDIR(status.st_mode):
        raise OSError("a folder, no file")
    if not stat.S_ISREG(status.st_mode):
        raise OSError("a FIFO, device or socket, no file")  # to open it may take for ever
    if row is None and status.st_size > MAX_BYTES:
        raise OSError(f"{status.st_size} bytes, more than the {MAX_BYTES} that are read")
    return status.st_mtime_ns, status.st_size


def is_there(file: Path) -> bool:
    """Whether there is something of that name, which may be none that a file system takes."""
    try:
        file.stat()
    except (OSError, ValueError):
        return False
    return True


def read_bytes(root: Path, path: str) -> bytes:
    """The bytes of a casting.

    Raises:
        OSError: it is no regular file, larger than any photograph, or not there.
    """
    at = stamp(root, path)
    file, row = _located(root, path)
    if row is not None:
        return _read_row(file, at, row)
    return file.read_bytes() if at[1] else b""  # of no size: also what never ends in /proc


def _located(root: Path, path: str) -> tuple[Path, int | None]:
    """The file of a casting, and the row of it where it is a table."""
    found = _ROW.fullmatch(path)
    if found is None or is_there(root / path):
        return root / path, None
    return root / found[1], int(found[2])


def _read_row(file: Path, at: Stamp, row: int) -> bytes:
    try:
        ends = _ends(file, at)
        group = bisect_right(ends, row)
        if group == len(ends):
            raise OSError(f"the table has {ends[-1] if ends else 0} rows")
        content = _images(file, at, group)[row - (ends[group - 1] if group else 0)]
    except ValueError as error:  # also Arrow's
        raise OSError(f"{file.name} is damaged: {error}") from error
    if content is None:
        raise OSError("the row has no image's bytes")
    return content


@lru_cache(maxsize=4)
def _ends(file: Path, _: Stamp) -> list[int]:
    """The row after each group of rows."""
    import pyarrow.parquet as pq

    metadata = pq.ParquetFile(file).metadata
    return list(accumulate(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)))


@lru_cache(maxsize=4)
def _images(file: Path, _: Stamp, group: int) -> list[bytes | None]:
    """The images of a group of rows; Hugging Face keeps `bytes` and `path` of each."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file)
    (column,) = [name for name in table.schema_arrow.names if name.strip().casefold() == "image"]
    rows = table.read_row_group(group, columns=[column]).column(0).to_pylist()
    return [row.get("bytes") if isinstance(row, dict) else row for row in rows]
