"""Manifests, and CSV files that people have edited."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.datasets.manifest import read_manifest
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


@pytest.mark.parametrize("header", ["path, label", " Path ,LABEL", "\ufeffpath,Label\t"])
def test_the_header_may_have_spaces_and_any_case(tmp_path: Path, header: str):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"{header}\na.png, ok\n")
    listing = read_manifest(manifest)
    assert [(file.path, file.label) for file in listing.images] == [("a.png", "ok")]
    assert listing.warnings == []


def test_a_column_that_stands_in_it_twice_is_refused(tmp_path: Path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,label, Label\na.png,ok,def\n")
    with pytest.raises(DataError, match="more than one column label"):
        read_manifest(manifest)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("path,labels", "column labels is not read; if it is the label, name it so"),
        ("path,class", "no column label, so no casting has one; columns not read: class"),
        ("path", "no column label, so no casting has one; columns not read: none"),
    ],
)
def test_columns_that_may_have_been_meant_are_said(tmp_path: Path, columns: str, said: str):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"{columns}\na.png\n")
    assert said in read_manifest(manifest).warnings


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet"])
def test_numbers_with_gaps_as_pandas_writes_them_are_whole_again(tmp_path: Path, name: str):
    rows = [("a.png", 0.0, 10.0), ("b.png", 1.0, np.nan), ("c.png", np.nan, 12.0)]
    table = pd.DataFrame(rows, columns=["path", "label", "part"])
    table.to_csv(tmp_path / name, index=False) if "csv" in name else table.to_parquet(
        tmp_path / name
    )
    images = read_manifest(tmp_path / name).images
    assert [(i.label, i.part) for i in images] == [("0", "10"), ("1", None), (None, "12")]


def test_numbers_that_are_not_all_whole_stay_as_they_are(tmp_path: Path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,label\na.png,1.0\nb.png,1.5\n")
    assert [file.label for file in read_manifest(manifest).images] == ["1.0", "1.5"]


@pytest.mark.parametrize(
    ("spelt", "side"), [("Train", "train"), ("TESTING", "test"), ("unlabeled", None), ("", None)]
)
def test_a_split_is_read_in_any_usual_spelling(tmp_path: Path, spelt: str, side: str | None):
    rows = [{"path": "a.png", "split": spelt}]
    (file,) = read_manifest(_manifest(tmp_path, rows)).images
    assert file.side == side


@pytest.mark.parametrize("path", ["ok\\ä.png", unicodedata.normalize("NFD", "ok/ä.png")])
def test_a_path_is_found_however_it_is_spelt(tmp_path: Path, path: str):
    (tmp_path / "ok").mkdir()
    (tmp_path / "ok" / "ä.png").write_bytes(b"")
    rows = [{"path": path, "label": unicodedata.normalize("NFD", "Gehäuse")}]
    (file,) = read_manifest(_manifest(tmp_path, rows)).images
    assert (file.path, file.label) == ("ok/ä.png", "Gehäuse")


def test_hugging_face_says_the_names_of_its_numbers(tmp_path: Path):
    features = {"label": {"names": ["ok", "def"], "_type": "ClassLabel"}}
    table = pa.table({"image": [{"bytes": b"x", "path": "x.png"}] * 3, "label": [1, 0, -1]})
    kept = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(kept), tmp_path / "t.parquet")
    images = read_manifest(tmp_path / "t.parquet").images
    assert [(i.path, i.label) for i in images] == [
        ("t.parquet#0", "def"),
        ("t.parquet#1", "ok"),
        ("t.parquet#2", None),
    ]


def test_a_column_image_may_hold_paths_and_labels_be_names(tmp_path: Path):
    rows = [{"image": "a.png", "label": "ok"}, {"image": "b.png", "label": "def"}]
    images = read_manifest(_manifest(tmp_path, rows, "t.parquet")).images
    assert [(i.path, i.label) for i in images] == [("a.png", "ok"), ("b.png", "def")]
    with pytest.raises(DataError, match="no column path among picture"):
        read_manifest(_manifest(tmp_path, [{"picture": "a.png"}], "u.parquet"))
