"""Reading the castings of a data set, which a folder or a manifest names.

Every file is read once to take its hash; bytes that were never seen before are decoded too, and
the ledger remembers which are no readable image. Those are listed, skipped and counted. A job that
looks again reads only files whose time or size changed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import PIL
import torch

from jobs.datasets.castings import Casting, duplicate_test_castings, merge, refuse_alike
from jobs.datasets.files import Stamp, read_bytes, stamp
from jobs.datasets.folders import read_folder
from jobs.datasets.listing import Listing
from jobs.datasets.manifest import read_manifest
from jobs.datasets.ports import Seen
from jobs.progress import Progress, silent
from models.errors import DataError, UnreadableImage, listed
from models.images import FORMATS, MAX_PIXELS, SUFFIXES, Preprocessing, check_image, decode

_THREADS = 4


def _release() -> str:
    try:
        return version("casting-active-learning")
    except PackageNotFoundError:
        return "uninstalled"


JUDGE = f"{_release()}, Pillow {PIL.__version__}, {len(FORMATS)} formats, {MAX_PIXELS} pixels"
"""By which release and limits a file is unreadable; when one of them changes, it is tried anew."""


@dataclass(frozen=True)
class DataSet:
    """Castings and what was found on the way to them."""

    root: Path  # that paths are relative to
    castings: tuple[Casting, ...]  # those that are readable, in order of id, copies merged
    unreadable: tuple[tuple[str, str], ...]  # (path, reason) of files that were skipped
    duplicate_test: int  # test castings dropped since their bytes stand in train
    inventory: Mapping[str, Seen]  # every casting by id; for the ledger to remember
    files: Mapping[tuple[str, Stamp], str]  # casting id of each file as it was when it was read
    ignored: Mapping[str, int] = field(default_factory=dict)  # other files, by suffix or reason
    warnings: tuple[str, ...] = ()  # how it was understood, where that is not plain

    def has(self, casting: Casting) -> bool:
        """Whether a file of a casting is still there; it may have changed."""
        return any(_is_there(self.root, path) for path in casting.paths)

    def read(self, casting: Casting) -> bytes:
        """A casting's bytes, from the first of its paths that still holds them, or DataError."""
        for path in casting.paths:
            try:
                data = read_bytes(self.root, path)
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
    classes: Sequence[str] = (),
) -> DataSet:
    """Read a folder, or a `.csv` or `.parquet` manifest.

    Castings `known` were decoded before; `before` is the data set as this process read it last;
    `classes` are those that the user names, if any.

    Raises:
        DataError: there is no readable image, or what the data set says contradicts itself.
    """
    listing = read_manifest(source) if source.is_file() else read_folder(source, classes)
    root, images = (source.parent if source.is_file() else source), listing.images
    castings, unreadable = [], list(listing.unreadable)
    inventory: dict[str, Seen] = {}
    files = {} if before is None else before.files
    read: dict[tuple[str, Stamp], str] = {}
    unchanged = [_unchanged(root, image.path, known, files) for image in images]
    new = [i.path for i, found in zip(images, unchanged, strict=True) if found is None]
    with ThreadPoolExecutor(_THREADS) as pool, progress("reading images", len(images)) as advance:
        identified = pool.map(lambda path: _identify(root, path, known), new)
        for file, found in zip(images, unchanged, strict=True):
            casting, at, reason = found or next(identified)
            advance(1)
            if casting and at:
                judge = known[casting].judge if casting in known else JUDGE
                seen = Seen(file.path, reason, judge if reason is not None else None)
                inventory.setdefault(casting, seen)
                read[file.path, at] = casting
            if reason is None:
                castings.append(
                    Casting(casting, (file.path,), file.label, file.part, file.side, file.mask)
                )
            else:
                unreadable.append((file.path, reason))
    if not castings:
        raise DataError(f"{source}: no readable image among {len(images)} files; {_why(listing)}")
    refuse_alike({casting.label for casting in castings if casting.label is not None})
    return DataSet(
        *(root, tuple(merge(castings)), tuple(unreadable), duplicate_test_castings(castings)),
        *(inventory, read, dict(sorted(listing.ignored.items())), tuple(listing.warnings)),
    )


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
        at = stamp(root, path)
    except OSError:
        return None  # reading it says why
    casting = files.get((path, at))
    if casting is None or casting not in known:
        return None
    return casting, at, known[casting].unreadable


def _identify(root: Path, path: str, known: Mapping[str, Seen]) -> _Found:
    try:
        at = stamp(root, path)
        data = read_bytes(root, path)
    except OSError as error:
        return "", None, error.strerror or str(error)
    casting = hashlib.sha256(data).hexdigest()
    if casting in known:
        return casting, at, known[casting].unreadable
    try:
        check_image(data)
    except UnreadableImage as error:
        return casting, at, str(error)
    return casting, at, None


def _is_there(root: Path, path: str) -> bool:
    try:
        stamp(root, path)
    except OSError:
        return False
    return True


def _why(listing: Listing) -> str:
    """What was found in the place of images."""
    found = [f"{count} {kind}" for kind, count in listing.ignored.most_common()]
    found += [f"{path} ({reason})" for path, reason in listing.unreadable]
    others = f", found were {listed(found)}" if found else ""
    return f"images end in {', '.join(sorted(SUFFIXES))}{others}"
