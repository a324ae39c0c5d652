"""What a folder of castings means: sides, classes and pool by the names of the folders in it."""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from jobs.datasets.castings import Side, alike, is_good_name, refuse_alike
from jobs.datasets.listing import POOL, SIDES, ImageFile, Listing, nfc, side_of, split_word
from jobs.datasets.tree import Folder, is_named_like_mask, read_tree
from models.errors import DataError, listed

_UNLABELLED = "unlabelled"
_REST = r"(?:[-_ T].*)?"
_DATED = re.compile(
    rf"(?:19|20)\d\d[-_. ](?:0?[1-9]|1[0-2]|W\d\d?)(?:[-_. ]\d\d?)?{_REST}"
    rf"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01]){_REST}"
    rf"|\d\d?[-_. ]\d\d?[-_. ](?:19|20)\d\d{_REST}",
    re.IGNORECASE,
)
_YEAR, _MONTH = re.compile(r"(?:19|20)\d\d"), re.compile(r"\d\d?")


def read_folder(root: Path, classes: Sequence[str] = ()) -> Listing:
    """List the images of a folder; `classes` are those that the user names, if any.

    Raises:
        DataError: it is missing, or what lies in it can be understood in more than one way.
    """
    if not root.is_dir():
        raise DataError(f"--data {root}: no such folder or manifest")
    listing = Listing()
    top = _stepped_in(root, read_tree(root, listing), classes, listing)
    if any(side_of(folder.name) for folder in top.folders):
        _read_sides(root, top, listing)
    else:
        _read_classes(root, top, None, listing)
    _refuse_shared_stems(listing.images)
    _warn_of_masks(listing)
    refuse_alike({file.label for file in listing.images if file.label is not None})
    listing.images = [
        file._replace(label=file.label.strip()) if file.label else file for file in listing.images
    ]
    return listing


def _stepped_in(root: Path, top: Folder, classes: Collection[str], listing: Listing) -> Folder:
    """The folder that holds sides or classes, where others are wrapped around it."""
    while True:
        inner = _with_images(top)
        if top.images or len(inner) != 1 or _has_meaning(inner[0], classes):
            return top
        (only,) = inner
        deeper = _with_images(only)
        if len(deeper) > 1 and not any(_has_meaning(f, classes) for f in deeper):
            raise DataError(
                f"{root}: everything lies in {only.path}, which holds "
                f"{listed([f.name for f in deeper])}. If these are the classes, give --data "
                f"{root / only.path}; if {only.name} is a class, name all with --classes"
            )
        listing.warnings.append(f"everything lies in {only.path}, so that is read")
        top = only


def _has_meaning(folder: Folder, classes: Collection[str]) -> bool:
    """Whether a folder's name alone says what it is: side, pool, good class, class, date."""
    named = alike(folder.name) in {alike(name) for name in classes}
    says = named or split_word(folder.name) or is_good_name(folder.name)
    return bool(says) or _is_dated(folder)


def _read_sides(root: Path, top: Folder, listing: Listing) -> None:
    folders: dict[str, list[Folder]] = defaultdict(list)
    for folder in _with_images(top):
        word = POOL if _is_dated(folder) else split_word(folder.name)
        folders[word or ""].append(folder)
    if beside := [folder.name for folder in folders[""]] + top.images:
        raise DataError(
            f"{root}: {listed(beside)} lies beside {' and '.join(SIDES)}; move it into one of "
            f"them or into {_UNLABELLED}, or describe the castings in a manifest"
        )
    for side in SIDES:
        for folder in folders[side]:
            _read_classes(root, _unwrapped(folder, listing), side, listing)
    _add(listing, folders[POOL], None)


def _unwrapped(side: Folder, listing: Listing) -> Folder:
    """The inner `train` of `train/train`, else the folder itself."""
    inner = _with_images(side)
    if side.images or len(inner) != 1 or side_of(inner[0].name) != side_of(side.name):
        return side
    listing.warnings.append(f"everything in {side.path} lies in {inner[0].path}, so that is read")
    return _unwrapped(inner[0], listing)


def _read_classes(root: Path, folder: Folder, side: Side | None, listing: Listing) -> None:
    """Images of the class folders in `folder`, or those lying in it when there are none."""
    inner = _with_images(folder)
    dated = [f for f in inner if _is_dated(f)]
    classes = [f for f in inner if f not in dated and split_word(f.name) != POOL]
    if classes and folder.images:
        raise DataError(
            f"{root / folder.path}: {len(folder.images)} images lie beside {len(classes)} class "
            f"folders; put those without a label into {root / folder.path / _UNLABELLED}"
        )
    _refuse_nested(root, classes)
    if dated:
        names = listed([f.name for f in dated])
        listing.warnings.append(f"named by date, hence castings without a label: {names}")
    if empty := [f.path for f in folder.folders if f not in inner]:
        listing.warnings.append(f"no images lie in {listed(empty)}")
    listing.images += [ImageFile(path, side=side) for path in folder.images]
    _add(listing, [f for f in inner if f not in classes], side)
    for found in classes:
        listing.images += [ImageFile(path, nfc(found.name), side=side) for path in found.walk()]


def _refuse_nested(root: Path, classes: Sequence[Folder]) -> None:
    """Refuse classes that hold sides, or the classes of their own."""
    for holding in classes:
        if words := [f.name for f in _below(holding) if split_word(f.name)]:
            raise DataError(
                f"{root}: {holding.path} is no class, it holds {listed(words)}. Give --data "
                f"{root / holding.path}, put the folders of the split above those of the classes, "
                f"or describe the castings in a manifest"
            )
    if any(is_good_name(folder.name) for folder in classes):
        return
    lines = [f.path for f in classes if any(is_good_name(inner.name) for inner in _below(f))]
    if lines:
        raise DataError(
            f"{root}: {listed(lines)} hold the folders of classes, so they are none. Give --data "
            f"{root / lines[0]}, put the folders of the classes above, or describe the castings "
            f"in a manifest"
        )


def _add(listing: Listing, pools: Sequence[Folder], side: Side | None) -> None:
    """Castings without a label."""
    listing.images += [ImageFile(path, side=side) for pool in pools for path in pool.walk()]


def _with_images(folder: Folder) -> list[Folder]:
    return [inner for inner in folder.folders if inner.holds_images]


def _below(folder: Folder) -> list[Folder]:
    return [f for inner in _with_images(folder) for f in (inner, *_below(inner))]


def _is_dated(folder: Folder) -> bool:
    """Whether a folder is named by a date, or by a year and holds folders of months."""
    if _YEAR.fullmatch(folder.name):
        months = [inner.name for inner in _with_images(folder)]
        return bool(months) and all(_MONTH.fullmatch(name) for name in months)
    return _DATED.fullmatch(folder.name) is not None


def _refuse_shared_stems(images: Sequence[ImageFile]) -> None:
    by_stem: dict[str, list[str]] = defaultdict(list)
    for file in images:
        by_stem[str(Path(file.path).with_suffix(""))].append(file.path)
    shared = [paths for paths in by_stem.values() if len(paths) > 1]
    if shared:
        raise DataError(
            f"{len(shared)} times two images of one name lie in a folder, first "
            f"{' and '.join(sorted(shared[0]))}: is one of them a mask? Move it, or describe the "
            f"castings in a manifest (path,label,mask)"
        )


def _warn_of_masks(listing: Listing) -> None:
    named = [file.path for file in listing.images if is_named_like_mask(file.path)]
    if named:
        listing.warnings.append(
            f"{len(named)} images are named like masks, but no image of the name lies beside "
            f"them, so they are castings: {listed(named)}"
        )
