"""Reading a data set: class folders, `train/` and `test/`, a manifest, into castings.

Every file is read once to take its hash; bytes that were never seen before are decoded too, and
the ledger remembers which are no readable image. Those are listed, skipped and counted. A job that
looks again reads only files whose time or size changed.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from jobs.datasets.castings import Casting, Side, duplicate_test_castings, merge
from jobs.datasets.manifest import SIDES, ImageFile, read_manifest
from jobs.datasets.ports import Seen
from jobs.progress import Progress, silent
from models.errors import DataError, UnreadableImage, listed
from models.images import SUFFIXES, Preprocessing, check_image, decode

UNLABELLED = "unlabelled"
_THREADS = 4

Stamp = tuple[int, int]
"""When a file was changed, in ns, and its bytes: by them it is still the one that was read."""


@dataclass(frozen=True)
class DataSet:
    """Castings and what was found on the way to them."""

    root: Path  # that paths are relative to
    castings: tuple[Casting, ...]  # those that are readable, in order of id, copies merged
    unreadable: tuple[tuple[str, str], ...]  # (path, reason) of files that were skipped
    duplicate_test: int  # test castings dropped since their bytes stand in train
    inventory: Mapping[str, Seen]  # every casting by id; for the ledger to remember
    files: Mapping[tuple[str, Stamp], str]  # casting id of each file as it was when it was read

    def has(self, casting: Casting) -> bool:
        """Whether a file of a casting is still there; it may have changed."""
        return any((self.root / path).is_file() for path in casting.paths)

    def read(self, casting: Casting) -> bytes:
        """A casting's bytes, from the first of its paths that still holds them, or DataError."""
        for path in casting.paths:
            try:
                data = (self.root / path).read_bytes()
            except OSError:
                continue
            if hashlib.sha256(data).hexdigest() == casting.id:
                return data
        raise DataError(
            f"{listed(casting.paths)} changed or went away since the data set was read; "
            f"run the command again to read it anew"
        )


def read_data_set(
    source: Path,
    known: Mapping[str, Seen],
    progress: Progress = silent,
    before: DataSet | None = None,
) -> DataSet:
    """Read a folder, or a `.csv` or `.parquet` manifest.

    Castings `known` were decoded before; `before` is the data set as this process read it last.

    Raises:
        DataError: there is no readable image, or what the data set says contradicts itself.
    """
    images = read_manifest(source) if source.is_file() else _folder(source)
    root = source.parent if source.is_file() else source
    castings, unreadable = [], []
    inventory: dict[str, Seen] = {}
    files = {} if before is None else before.files
    read: dict[tuple[str, Stamp], str] = {}
    unchanged = [_unchanged(root, image.path, known, files) for image in images]
    new = [i.path for i, found in zip(images, unchanged, strict=True) if found is None]
    with ThreadPoolExecutor(_THREADS) as pool, progress("reading images", len(images)) as advance:
        identified = pool.map(lambda path: _identify(root, path, known), new)
        for file, found in zip(images, unchanged, strict=True):
            casting, stamp, reason = found or next(identified)
            advance(1)
            if casting and stamp:
                inventory.setdefault(casting, Seen(file.path, reason))
                read[file.path, stamp] = casting
            if reason is None:
                castings.append(
                    Casting(casting, (file.path,), file.label, file.part, file.side, file.mask)
                )
            else:
                unreadable.append((file.path, reason))
    if not castings:
        raise DataError(
            f"{source}: no readable image among {len(images)} files; images end in "
            f"{', '.join(sorted(SUFFIXES))}"
        )
    twice = duplicate_test_castings(castings)
    return DataSet(root, tuple(merge(castings)), tuple(unreadable), twice, inventory, read)


def load_pixels(
    data_set: DataSet, castings: Sequence[Casting], preprocessing: Preprocessing
) -> torch.Tensor:
    """Decode castings to uint8 `[N, channels, size, size]`."""
    shape = (preprocessing.channels, preprocessing.size, preprocessing.size)
    pixels_N = torch.empty(len(castings), *shape, dtype=torch.uint8)

    def fill(row: int) -> None:
        pixels_N[row] = decode(data_set.read(castings[row]), preprocessing, of_data_set=True)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(fill, range(len(castings))))
    return pixels_N


_Found = tuple[str, Stamp | None, str | None]
"""The casting id and stamp of a file, and why it is unreadable; no id without bytes."""


def _unchanged(
    root: Path, path: str, known: Mapping[str, Seen], files: Mapping[tuple[str, Stamp], str]
) -> _Found | None:
    """What is known of a file that looks as it did when this process read it last."""
    try:
        stamp = _stamp(root / path)
    except OSError:
        return None  # reading it says why
    casting = files.get((path, stamp))
    if casting is None or casting not in known:
        return None
    return casting, stamp, known[casting].unreadable


def _identify(root: Path, path: str, known: Mapping[str, Seen]) -> _Found:
    try:
        stamp = _stamp(root / path)
        data = (root / path).read_bytes()
    except OSError as error:
        return "", None, error.strerror or str(error)
    casting = hashlib.sha256(data).hexdigest()
    if casting in known:
        return casting, stamp, known[casting].unreadable
    try:
        check_image(data)
    except UnreadableImage as error:
        return casting, stamp, str(error)
    return casting, stamp, None


def _stamp(file: Path) -> Stamp:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _folder(root: Path) -> list[ImageFile]:
    if not root.is_dir():
        raise DataError(f"--data {root}: no such folder or manifest")
    sides = [side for side in SIDES if (root / side).is_dir()]
    images: list[ImageFile] = []
    if sides:
        _refuse_beside(root)
        for side in sides:
            images += _class_folders(root / side, root, side)
        images += _images(root / UNLABELLED, root, None, None)
    else:
        images = _class_folders(root, root, None)
    _refuse_shared_stems(images)
    return images


def _refuse_beside(root: Path) -> None:
    beside = [
        path.name
        for path in sorted(root.iterdir())
        if path.name not in {*SIDES, UNLABELLED}
        and not path.name.startswith(".")
        and (_images(path, root, None, None) if path.is_dir() else path.suffix.lower() in SUFFIXES)
    ]
    if beside:
        raise DataError(
            f"{root}: {listed(beside)} lies beside {' and '.join(SIDES)}; move it into one of "
            f"them or into {UNLABELLED}, or describe the castings in a manifest"
        )


def _class_folders(folder: Path, root: Path, side: Side | None) -> list[ImageFile]:
    """Images of the class folders in `folder`, or those lying in it when there are none."""
    inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    loose = [p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES]
    classes = [p for p in inner if p.name != UNLABELLED]
    if classes and loose:
        raise DataError(
            f"{folder}: {len(loose)} images lie beside {len(classes)} class folders; "
            f"put those without a label into {folder / UNLABELLED}"
        )
    images = [ImageFile(path.relative_to(root).as_posix(), side=side) for path in sorted(loose)]
    for path in inner:
        label = None if path.name == UNLABELLED else path.name
        images += _images(path, root, label, side)
    return images


def _images(folder: Path, root: Path, label: str | None, side: Side | None) -> list[ImageFile]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return [ImageFile(p.relative_to(root).as_posix(), label=label, side=side) for p in paths]


def _refuse_shared_stems(images: Sequence[ImageFile]) -> None:
    by_stem: dict[str, list[str]] = defaultdict(list)
    for file in images:
        by_stem[str(Path(file.path).with_suffix(""))].append(file.path)
    shared = [paths for paths in by_stem.values() if len(paths) > 1]
    if shared:
        raise DataError(
            f"{len(shared)} times two images of one name lie in a folder, first "
            f"{' and '.join(shared[0])}: is one of them a mask? Move it, or describe the "
            f"castings in a manifest (path,label,mask)"
        )
