import os
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from jobs.datasets.ports import Seen
from jobs.datasets.reader import load_pixels, read_data_set
from models.errors import DataError
from models.images import Preprocessing
from tests.jobs.fakes import casting_bytes, write_castings


def _manifest(folder: Path, rows: list[dict[str, str]], name: str = "manifest.csv") -> Path:
    path = folder / name
    table = pd.DataFrame(rows)
    table.to_csv(path, index=False) if name.endswith("csv") else table.to_parquet(path)
    return path


def test_class_folders_give_labels(castings: Path):
    data = read_data_set(castings, {})
    assert {c.label for c in data.castings} == {"ok", "def"}
    assert len(data.castings) == 40
    assert [c.id for c in data.castings] == sorted(c.id for c in data.castings)


def test_train_and_test_give_sides_and_unlabelled_gives_no_label(tmp_path: Path):
    write_castings(tmp_path / "train", {"ok": 2, "def": 2})
    write_castings(tmp_path / "test", {"ok": 1, "def": 1}, start=50)
    write_castings(tmp_path, {"unlabelled": 3}, start=90)
    data = read_data_set(tmp_path, {})
    assert [c.side for c in data.castings].count("test") == 2
    assert [c.label for c in data.castings].count(None) == 3


def test_a_folder_without_class_folders_has_no_labels(tmp_path: Path):
    write_castings(tmp_path, {"shots": 3})
    assert {c.label for c in read_data_set(tmp_path / "shots", {}).castings} == {None}


def test_a_manifest_lying_in_a_folder_is_not_read(castings: Path):
    (castings / "manifest.csv").write_text("nonsense")
    assert len(read_data_set(castings, {}).castings) == 40


def test_unreadable_files_are_listed_and_skipped(castings: Path):
    whole = casting_bytes("ok", 7)
    (castings / "ok" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (castings / "ok" / "empty.png").write_bytes(b"")
    (castings / "ok" / "notes.txt").write_text("not an image by its suffix")
    data = read_data_set(castings, {})
    assert [path for path, _ in data.unreadable] == ["ok/cut.png", "ok/empty.png"]
    assert len(data.castings) == 40
    assert sum(seen.unreadable is not None for seen in data.inventory.values()) == 2


def test_a_file_that_a_manifest_names_and_that_is_not_there_is_skipped(castings: Path):
    rows = [{"path": "ok/000.png"}, {"path": "gone.png"}]
    data = read_data_set(_manifest(castings, rows), {})
    assert data.unreadable == (("gone.png", "No such file or directory"),)


def test_what_the_ledger_knows_is_not_decoded_again(castings: Path):
    first = read_data_set(castings, {})
    known = dict(first.inventory) | {first.castings[0].id: Seen("a.png", "said to be bad")}
    again = read_data_set(castings, known)
    assert len(again.castings) == 39
    assert again.unreadable[0][1] == "said to be bad"


def test_a_folder_without_images_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="no readable image among 0 files"):
        read_data_set(tmp_path, {})


def test_a_missing_folder_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="no such folder or manifest"):
        read_data_set(tmp_path / "nowhere", {})


def test_duplicate_test_castings_are_dropped_and_counted(tmp_path: Path):
    write_castings(tmp_path / "train", {"ok": 2, "def": 2})
    write_castings(tmp_path / "test", {"ok": 3, "def": 1})
    data = read_data_set(tmp_path, {})
    assert data.duplicate_test == 3
    assert [c.side for c in data.castings].count("test") == 1


def test_a_casting_is_read_from_whichever_of_its_copies_is_left(castings: Path):
    data_bytes = (castings / "ok" / "000.png").read_bytes()
    (castings / "ok" / "copy.png").write_bytes(data_bytes)
    data = read_data_set(castings, {})
    casting = next(c for c in data.castings if len(c.paths) == 2)
    (castings / "ok" / "000.png").unlink()
    assert data.read(casting) == data_bytes
    (castings / "ok" / "copy.png").write_bytes(b"other bytes now")
    with pytest.raises(DataError, match="changed or went away"):
        data.read(casting)


def test_grey_castings_have_one_channel_and_load_in_order(castings: Path):
    data = read_data_set(castings, {})
    pixels = load_pixels(data, data.castings, Preprocessing(size=32))
    assert pixels.shape == (40, 1, 32, 32)
    bright = [bool(p.max() > 200) for p in pixels]
    assert bright == [c.label == "def" for c in data.castings]


def test_what_else_lies_in_a_folder_is_handed_on(castings: Path):
    (castings / "ok" / "notes.txt").write_text("")
    (castings / "ok" / "000_mask.png").write_bytes(casting_bytes("ok", 99))
    data = read_data_set(castings, {})
    assert data.ignored == {".txt": 1, "mask": 1}
    assert len(data.castings) == 40


def test_files_of_other_kinds_are_named_where_there_is_no_image(tmp_path: Path):
    for number in range(3):
        (tmp_path / f"{number}.heic").write_bytes(b"")
    with pytest.raises(DataError, match=r"among 0 files; images end in .*found were 3 \.heic"):
        read_data_set(tmp_path, {})


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("JPEG", ".jfif"), ("PPM", ".pgm"), ("JPEG2000", ".jp2"), ("AVIF", ".avif")],
)
def test_further_kinds_of_files_are_read(castings: Path, kind: str, suffix: str):
    for name in ("ok", "def"):
        with Image.open(castings / name / "000.png") as image:
            image.save(castings / name / f"more{suffix}", kind)
    data = read_data_set(castings, {})
    assert len(data.castings) == 42
    assert data.unreadable == ()


def test_a_manifest_that_names_what_is_no_file_lists_it(castings: Path):
    os.mkfifo(castings / "pipe.png")
    paths = ["ok/000.png", "pipe.png", "/dev/zero", "a\0b.png", "ok"]
    manifest = castings / "m.csv"
    manifest.write_text("path\n" + "\n".join(paths) + "\n")
    data = read_data_set(manifest, {})
    assert len(data.castings) == 1
    fifo = "a FIFO, device or socket, no file"
    reasons = dict(data.unreadable)
    assert reasons.pop("a\0b.png").endswith("null byte")
    assert reasons == {"pipe.png": fifo, "/dev/zero": fifo, "ok": "a folder, no file"}


def test_labels_of_a_manifest_that_differ_by_case_only_are_refused(castings: Path):
    rows = [{"path": "ok/000.png", "label": "ok"}, {"path": "ok/001.png", "label": "Ok "}]
    with pytest.raises(DataError, match="'Ok' and 'ok' differ by case"):
        read_data_set(_manifest(castings, rows), {})


def test_castings_in_a_table_of_hugging_face_are_read_as_files_are(castings: Path):
    images = [(castings / n).read_bytes() for n in ("ok/000.png", "def/000.png")] + [b"no image"]
    table = pd.DataFrame(
        {"image": [{"bytes": b, "path": None} for b in images], "label": [1, 0, 1]}
    )
    table.to_parquet(castings / "train.parquet")
    data = read_data_set(castings / "train.parquet", {})
    assert {(c.paths, c.label) for c in data.castings} == {
        (("train.parquet#0",), "1"),
        (("train.parquet#1",), "0"),
    }
    assert [path for path, _ in data.unreadable] == ["train.parquet#2"]
    assert all(data.has(casting) for casting in data.castings)
    assert load_pixels(data, data.castings, Preprocessing(size=32)).shape == (2, 1, 32, 32)
    again = read_data_set(castings / "train.parquet", data.inventory, before=data)
    assert again == data
