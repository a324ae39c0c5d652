"""What folders mean by their names."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from jobs.datasets.folders import read_folder
from jobs.datasets.listing import Listing
from models.errors import DataError


def _touch(folder: Path, *folders: str, count: int = 2, start: int = 0) -> Path:
    for path in folders:
        (folder / path).mkdir(parents=True, exist_ok=True)
        for number in range(start, start + count):
            (folder / path / f"{number}.png").write_bytes(b"")
    return folder


def _meant(listing: Listing) -> dict[tuple[str | None, str | None], int]:
    """How many images there are of each side and label."""
    return dict(Counter((file.side, file.label) for file in listing.images))


@pytest.mark.parametrize(
    ("train", "test", "pool"),
    [
        ("train", "test", "unlabelled"),
        ("Train", "Test", "Unlabelled"),
        ("TRAINING", "testing", "unlabeled"),
        ("train_set", "TEST-SET", "Pool"),
    ],
)
def test_sides_and_pool_are_known_in_the_usual_spellings(
    tmp_path: Path, train: str, test: str, pool: str
):
    _touch(tmp_path, f"{train}/ok", f"{train}/def", f"{test}/ok", f"{test}/def", pool)
    meant = _meant(read_folder(tmp_path))
    assert meant == {
        ("train", "ok"): 2,
        ("train", "def"): 2,
        ("test", "ok"): 2,
        ("test", "def"): 2,
        (None, None): 2,
    }


@pytest.mark.parametrize("pool", ["unlabelled", "unlabeled", "Unlabelled", "pool"])
def test_a_pool_beside_class_folders_is_no_class(tmp_path: Path, pool: str):
    meant = _meant(read_folder(_touch(tmp_path, "ok", "def", pool)))
    assert meant == {(None, "ok"): 2, (None, "def"): 2, (None, None): 2}


@pytest.mark.parametrize("inner", [("train/ok", "train/def", "test/ok"), ("ok", "def")])
@pytest.mark.parametrize("wrapped", ["castings", "a/b/c"])
def test_folders_around_everything_are_stepped_into_and_said(
    tmp_path: Path, wrapped: str, inner: tuple[str, ...]
):
    _touch(tmp_path, *(f"{wrapped}/{folder}" for folder in inner))
    (tmp_path / "README.md").write_text("")
    listing = read_folder(tmp_path)
    assert {label for _, label in _meant(listing)} == {"ok", "def"}
    assert listing.images[0].path.startswith(f"{wrapped}/")  # relative to --data, as ever
    assert listing.warnings[-1] == f"everything lies in {wrapped}, so that is read"
    assert ("train", "ok") in _meant(listing) or len(inner) == 2


def test_a_folder_around_the_classes_of_a_side_is_stepped_into(tmp_path: Path):
    _touch(tmp_path, "train/train/ok", "train/train/def", "test/ok")
    meant = _meant(read_folder(tmp_path))
    assert meant == {("train", "ok"): 2, ("train", "def"): 2, ("test", "ok"): 2}


def test_a_wrapper_of_unknown_names_is_refused_unless_classes_are_named(tmp_path: Path):
    _touch(tmp_path, "x/io", "x/nio")
    with pytest.raises(DataError, match=r"everything lies in x, which holds io, nio.*--classes"):
        read_folder(tmp_path)
    assert set(_meant(read_folder(tmp_path, ["io", "NIO"]))) == {(None, "io"), (None, "nio")}
    assert _meant(read_folder(tmp_path, ["x", "y"])) == {(None, "x"): 4}


def test_one_folder_of_images_is_a_pool_unless_it_is_a_class(tmp_path: Path):
    assert _meant(read_folder(_touch(tmp_path / "a", "shots"))) == {(None, None): 2}
    assert _meant(read_folder(tmp_path / "a", ["shots", "ok"])) == {(None, "shots"): 2}
    assert _meant(read_folder(_touch(tmp_path / "b", "ok_front"))) == {(None, "ok_front"): 2}
    assert _meant(read_folder(_touch(tmp_path / "c", "train/good"))) == {("train", "good"): 2}


@pytest.mark.parametrize(
    "dates",
    [
        ("2026-11-01", "2026-11-02"),
        ("20261101", "20261102_night"),
        ("2026-W44", "2026_45"),
        ("01.11.2026", "2.11.2026 shift 2"),
        ("2026-11-01T0600", "2026.11.02"),
        ("2025/12/31", "2026/01/01"),
        ("2026/11",),
        ("2026-11-01",),
    ],
)
def test_folders_named_by_date_are_a_pool(tmp_path: Path, dates: tuple[str, ...]):
    _touch(tmp_path, *(date for date in dates if date != "2026_45"), "2026-10")
    listing = read_folder(tmp_path, ["ok", "def"])
    assert {(file.side, file.label) for file in listing.images} == {(None, None)}
    assert "named by date, hence castings without a label" in listing.warnings[0]


def test_folders_named_by_date_beside_classes_and_sides_are_a_pool(tmp_path: Path):
    assert _meant(read_folder(_touch(tmp_path / "a", "ok", "def", "2026-11-01"))) == {
        (None, "ok"): 2,
        (None, "def"): 2,
        (None, None): 2,
    }
    assert _meant(read_folder(_touch(tmp_path / "b", "train/ok", "test/ok", "2026-11-01"))) == {
        ("train", "ok"): 2,
        ("test", "ok"): 2,
        (None, None): 2,
    }


@pytest.mark.parametrize(
    "names", [("0", "1"), ("2024", "6061"), ("200461", "200499"), ("4-5", "6-7")]
)
def test_numbers_are_classes(tmp_path: Path, names: tuple[str, ...]):
    assert set(_meant(read_folder(_touch(tmp_path, *names)))) == {(None, n) for n in names}


def test_folders_within_a_class_are_of_the_class(tmp_path: Path):
    _touch(tmp_path, "ok/line 1", "ok/2026-11-01", "def/line 1/deep", "def/line 2")
    assert _meant(read_folder(tmp_path)) == {(None, "ok"): 4, (None, "def"): 4}


@pytest.mark.parametrize(
    ("folders", "complaint"),
    [
        (("line1/ok", "line1/def", "line2/ok"), r"line1, line2 hold the folders of classes.*Give"),
        (("bottle/train/ok", "cable/train/ok"), r"bottle is no class, it holds train.*bottle"),
        (("ok/train", "ok/test", "def/train"), r"def is no class, it holds train\. .*manifest"),
        (("train/ok", "val/ok"), r"val lies beside train and test; move it into"),
    ],
)
def test_what_can_be_understood_in_more_than_one_way_is_refused(
    tmp_path: Path, folders: tuple[str, ...], complaint: str
):
    with pytest.raises(DataError, match=complaint):
        read_folder(_touch(tmp_path, *folders))


def test_masks_of_defects_as_public_data_sets_have_them_are_no_castings(tmp_path: Path):
    _touch(tmp_path, "train/good", "test/good", "test/crack", "ground_truth/crack")
    (tmp_path / "ground_truth" / "crack" / "0.png").rename(
        tmp_path / "ground_truth" / "crack" / "0_mask.png"
    )
    listing = read_folder(tmp_path)
    assert _meant(listing) == {("train", "good"): 2, ("test", "good"): 2, ("test", "crack"): 2}
    assert listing.ignored == {"mask": 2}


def test_twenty_masks_beside_twenty_defects_leave_forty_castings(tmp_path: Path):
    _touch(tmp_path, "ok", "def", count=20)
    for number in range(20):
        (tmp_path / "def" / f"{number}_mask.png").write_bytes(b"")
    listing = read_folder(tmp_path)
    assert (len(listing.images), listing.ignored) == (40, {"mask": 20})


def test_what_is_named_like_a_mask_of_nothing_is_said(tmp_path: Path):
    _touch(tmp_path, "ok", "def")
    (tmp_path / "def" / "9_mask.png").write_bytes(b"")
    (said,) = read_folder(tmp_path).warnings
    assert said.startswith("1 images are named like masks")


@pytest.mark.parametrize("other", ["OK", "ok ", "Ok"])
@pytest.mark.parametrize("sides", [("", ""), ("train/", "test/")])
def test_classes_that_differ_by_case_or_space_only_are_refused(
    tmp_path: Path, other: str, sides: tuple[str, str]
):
    _touch(tmp_path, f"{sides[0]}ok", f"{sides[0]}def", f"{sides[1]}{other}")
    with pytest.raises(DataError, match=rf"'{other}'.* differ by case or space"):
        read_folder(tmp_path)


def test_class_names_are_composed_and_stripped(tmp_path: Path):
    decomposed = unicodedata.normalize("NFD", "Gehäuse")
    _touch(tmp_path, f"train/{decomposed}", "train/ok ", "test/Gehäuse")
    assert {label for _, label in _meant(read_folder(tmp_path))} == {"Gehäuse", "ok"}


def test_folders_without_images_are_said(tmp_path: Path):
    (_touch(tmp_path, "ok", "def") / "scrap").mkdir()
    (tmp_path / "scrap" / "0.heic").write_bytes(b"")
    listing = read_folder(tmp_path)
    assert (listing.warnings, listing.ignored) == (["no images lie in scrap"], {".heic": 1})


def test_loose_images_beside_class_folders_are_refused(tmp_path: Path):
    (_touch(tmp_path, "ok", "def") / "stray.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 images lie beside 2 class folders.*unlabelled"):
        read_folder(tmp_path)


def test_two_images_of_one_stem_are_refused_since_one_may_be_a_mask(tmp_path: Path):
    (_touch(tmp_path, "ok", "def") / "ok" / "0.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"ok/0\.jpg and ok/0\.png.*mask"):
        read_folder(tmp_path)


def test_images_beside_train_and_test_are_refused_not_dropped(tmp_path: Path):
    (_touch(tmp_path, "train/ok", "val") / "notes").mkdir()
    with pytest.raises(DataError, match="val lies beside train and test; move it into"):
        read_folder(tmp_path)
