"""Manifests, and CSV files that people have edited."""

from pathlib import Path

import pandas as pd
import pytest

from jobs.datasets.reader import read_data_set
from models.errors import DataError


def _manifest(folder: Path, rows: list[dict[str, str]], name: str = "manifest.csv") -> Path:
    path = folder / name
    table = pd.DataFrame(rows)
    table.to_csv(path, index=False) if name.endswith("csv") else table.to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet"])
def test_a_manifest_names_label_part_split_and_mask(castings: Path, name: str):
    rows = [
        {"path": "ok/000.png", "label": "NA", "part": "p1", "split": "train", "mask": ""},
        {"path": "def/000.png", "label": "def", "part": "p2", "split": "test", "mask": "m.png"},
    ]
    found = {c.label: c for c in read_data_set(_manifest(castings, rows, name), {}).castings}
    assert set(found) == {"NA", "def"}  # NA is a class name like any other
    assert (found["def"].part, found["def"].side, found["def"].mask) == ("p2", "test", "m.png")
    assert found["NA"].mask is None


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([{"file": "ok/000.png"}], r"no column path among file"),
        ([{"path": "a.png", "split": "val"}], r"neither train nor test in line 2 \(val\)"),
        ([{"path": "a.png"}, {"path": "a.png"}], r"1 paths stand in it twice: a\.png"),
        ([{"path": "a.png", "label": "x"}, {"path": "", "label": "y"}], r"no path in line 3"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_lines(
    tmp_path: Path, rows: list[dict[str, str]], complaint: str
):
    with pytest.raises(DataError, match=complaint):
        read_data_set(_manifest(tmp_path, rows), {})


def test_a_manifest_with_a_field_too_many_is_refused_with_its_line(tmp_path: Path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,label\na, b.png,ok\nc.png,ok\n")
    with pytest.raises(DataError, match=r"more fields than the 2 columns in line 2; .*quotes"):
        read_data_set(manifest, {})
