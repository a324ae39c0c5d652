"""What lies below a folder, and what of it is no image."""

import os
import socket
from pathlib import Path

import pytest

from jobs.datasets.listing import Listing
from jobs.datasets.tree import is_named_like_mask, read_tree

FIFO = "a FIFO, device or socket, no file"


def _touch(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")


def _read(folder: Path) -> tuple[list[str], Listing]:
    listing = Listing()
    return list(read_tree(folder, listing).walk()), listing


def test_other_files_are_counted_by_suffix(tmp_path: Path):
    names = ["a.PNG", "b.jfif", "c.pgm", "d.heic", "e.HEIC", "f.jxl", "notes.txt", "README"]
    _touch(tmp_path, *names)
    found, listing = _read(tmp_path)
    assert found == ["a.PNG", "b.jfif", "c.pgm"]
    assert listing.ignored == {".heic": 2, ".jxl": 1, ".txt": 1, "no suffix": 1}


@pytest.mark.parametrize(
    "system",
    ["@eaDir", "__MACOSX", ".Trash-1000", ".hidden", "#recycle", "$RECYCLE.BIN", "lost+found"],
)
def test_system_and_hidden_folders_are_skipped(tmp_path: Path, system: str):
    _touch(tmp_path, "ok/a.png", f"ok/{system}/a.png", f"{system}/b.png")
    found, listing = _read(tmp_path)
    assert found == ["ok/a.png"]
    assert listing.ignored == {"hidden or system": 2}


def test_what_macos_and_windows_leave_behind_is_skipped(tmp_path: Path):
    _touch(tmp_path, "a.png", "._a.png", ".DS_Store", "Thumbs.db", "desktop.ini")
    found, listing = _read(tmp_path)
    assert (found, listing.ignored) == (["a.png"], {"hidden or system": 4})


@pytest.mark.parametrize(
    "mask", ["b_mask.png", "b_MASK.bmp", "b-gt.tif", "b.mask.png", "b_label.bmp", "mask_b.png"]
)
def test_a_mask_beside_its_image_is_none(tmp_path: Path, mask: str):
    _touch(tmp_path, "b.jpg", mask)
    found, listing = _read(tmp_path)
    assert (found, listing.ignored) == (["b.jpg"], {"mask": 1})


def test_what_is_named_like_a_mask_of_nothing_is_an_image(tmp_path: Path):
    _touch(tmp_path, "b_mask.png", "c.png", "mask.png", "unmask_c.png")
    found, listing = _read(tmp_path)
    assert found == ["b_mask.png", "c.png", "mask.png", "unmask_c.png"]
    assert listing.ignored == {}
    assert [is_named_like_mask(path) for path in found] == [True, False, False, False]


@pytest.mark.parametrize("masks", ["masks", "Mask", "ground_truth", "GroundTruth", "def_mask"])
def test_a_folder_of_masks_is_none(tmp_path: Path, masks: str):
    _touch(tmp_path, "def/a.png", "def/b.png", f"{masks}/a.png", f"{masks}/deep/b.png")
    found, listing = _read(tmp_path)
    assert (found, listing.ignored) == (["def/a.png", "def/b.png"], {"mask": 2})


def test_links_to_folders_and_files_are_followed(tmp_path: Path):
    _touch(tmp_path, "store/a.png", "data/b.png")
    (tmp_path / "data" / "ok").symlink_to(tmp_path / "store")
    (tmp_path / "data" / "c.png").symlink_to(tmp_path / "store" / "a.png")
    assert _read(tmp_path / "data")[0] == ["b.png", "c.png", "ok/a.png"]


@pytest.mark.parametrize("to", [".", "..", "data", "data/ok", "data/ok/loop"])
def test_a_link_into_a_folder_that_it_lies_in_is_not_followed(tmp_path: Path, to: str):
    _touch(tmp_path, "data/ok/a.png")
    target = {".": tmp_path / "data" / "ok", "..": tmp_path}.get(to, tmp_path / to)
    (tmp_path / "data" / "ok" / "loop").symlink_to(target)
    found, listing = _read(tmp_path / "data")
    assert found == ["ok/a.png"]
    assert listing.ignored.total() == 1


def test_folders_that_link_to_one_another_are_read_once_each(tmp_path: Path):
    for name in "abcdefgh":
        _touch(tmp_path, f"{name}/{name}.png")
        for other in "abcdefgh".replace(name, ""):
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    found, _ = _read(tmp_path)
    assert {Path(path).name for path in found} == {f"{name}.png" for name in "abcdefgh"}
    assert len(found) == 16  # by its own name, and by the first link to it


def test_what_is_no_file_is_listed_and_never_opened(tmp_path: Path):
    _touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "b.png")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "c.png").symlink_to("/dev/zero")
    (tmp_path / "d.png").symlink_to(tmp_path / "nowhere.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "e.png"))
        found, listing = _read(tmp_path)
    assert found == ["a.png"]
    reasons = {"b.png": FIFO, "c.png": FIFO, "d.png": "the link leads nowhere", "e.png": FIFO}
    assert dict(listing.unreadable) == reasons
    assert listing.ignored == {"no regular file": 1}


def test_names_that_are_not_utf8_are_listed_as_they_can_be_printed(tmp_path: Path):
    _touch(tmp_path, "a.png")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/Gu\xdf_0.png")).write_bytes(b"")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/Gu\xdf")).mkdir()
    found, listing = _read(tmp_path)
    assert found == ["a.png"]
    reason = "its name is not UTF-8; rename it"
    assert listing.unreadable == [(r"Gu\xdf", reason), (r"Gu\xdf_0.png", reason)]


def test_folders_are_read_to_a_depth(tmp_path: Path):
    deep = tmp_path / "/".join("d" * 103)
    deep.mkdir(parents=True)
    (deep / "a.png").write_bytes(b"")
    found, listing = _read(tmp_path)
    assert found == []
    assert [reason for _, reason in listing.unreadable] == ["more than 100 folders in one another"]
