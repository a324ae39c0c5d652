"""The bytes of castings, from files and from tables, and from what is neither."""

import os
from pathlib import Path

import pandas as pd
import pytest

from jobs.datasets.files import MAX_BYTES, is_there, read_bytes, stamp


def test_a_file_is_read(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"abc")
    assert read_bytes(tmp_path, "a.png") == b"abc"
    assert stamp(tmp_path, "a.png")[1] == 3


@pytest.mark.parametrize("path", ["pipe.png", "/dev/zero", "folder", "a\0b.png"])
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path: Path, path: str):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"no file|null"):
        read_bytes(tmp_path, path)


def test_a_file_of_no_size_is_not_waited_for(tmp_path: Path):
    assert read_bytes(tmp_path, "/proc/self/environ") == b""


def test_a_file_larger_than_any_photograph_is_refused_with_the_numbers(tmp_path: Path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # sparse
    with pytest.raises(OSError, match=rf"{MAX_BYTES + 1} bytes, more than the {MAX_BYTES}"):
        read_bytes(tmp_path, "huge.png")


def test_a_name_that_no_file_system_takes_is_not_there(tmp_path: Path):
    assert not is_there(tmp_path / ("x" * 5000))
    assert not is_there(tmp_path / "a\0b")
    assert is_there(tmp_path)


@pytest.mark.parametrize("in_struct", [True, False])
def test_rows_of_a_table_are_read_whatever_groups_they_are_in(tmp_path: Path, *, in_struct: bool):
    contents = [b"zero", b"one", b"two", None, b"four"]
    images = [{"bytes": b, "path": "x.png"} if in_struct else b for b in contents]
    pd.DataFrame({"Image ": images}).to_parquet(tmp_path / "t.parquet", row_group_size=2)
    read = [read_bytes(tmp_path, f"t.parquet#{row}") for row in (4, 0, 1, 2)]
    assert read == [b"four", b"zero", b"one", b"two"]
    for row, reason in ((3, "no image's bytes"), (5, "the table has 5 rows")):
        with pytest.raises(OSError, match=reason):
            read_bytes(tmp_path, f"t.parquet#{row}")


def test_a_file_named_as_a_row_is_a_file_and_a_damaged_table_is_refused(tmp_path: Path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not at all")
    (tmp_path / "t.parquet#1").write_bytes(b"file")
    assert read_bytes(tmp_path, "t.parquet#1") == b"file"
    with pytest.raises(OSError, match=r"t\.parquet is damaged"):
        read_bytes(tmp_path, "t.parquet#2")
