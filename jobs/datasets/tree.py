"""The files below a folder: which are images, and what else lies there.

Linked folders are followed, but never into one that they lie in. What is no image is counted by
its suffix or by a reason; what is named like one and cannot be one is listed.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jobs.datasets.listing import Listing, nfc
from models.images import SUFFIXES

MASK = "mask"
_HIDDEN, _MET, _SPECIAL = "hidden or system", "linked folder met before", "no regular file"
_SYSTEM = {
    *("@eadir", "__macosx", "#recycle", "$recycle.bin", "@recycle", "@recently-snapshot"),
    *("system volume information", "lost+found", "__pycache__", "thumbs.db", "desktop.ini"),
}
_MASK_FOLDERS = {"mask", "masks", "groundtruth", "ground_truth", "ground-truth", "ground truth"}
_OF_MASK = r"masks?|gt|ground[_\- ]?truth|seg|segmentation"
_MASK_NAME = re.compile(rf"(.+)[_\-. ](?:{_OF_MASK}|labels?)|(?:{_OF_MASK})[_\-. ](.+)", re.I)
_DEPTH = 100  # folders in one another
_Inode = tuple[int, int]


@dataclass
class Folder:
    """A folder and the images in it."""

    path: str  # relative to the data set; "" is the data set itself
    folders: list["Folder"] = field(default_factory=list)  # in order of name
    images: list[str] = field(default_factory=list)  # paths of those lying in it, in order of name

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path.rpartition("/")[2]

    def walk(self) -> Iterator[str]:
        """The paths of the images in it and below."""
        yield from self.images
        for folder in self.folders:
            yield from folder.walk()

    @property
    def holds_images(self) -> bool:
        """Whether there is one in it or below."""
        return any(True for _ in self.walk())


def read_tree(root: Path, listing: Listing) -> Folder:
    """Everything below `root`; what is no image is written into the listing.

    Masks are none: folders named so, and images named as masks of others beside them.
    """
    top = Folder("")
    above = frozenset(_inode(folder) for folder in (root.resolve(), *root.resolve().parents))
    _Walk(root, listing).fill(top, above)
    return top


def is_named_like_mask(path: str) -> bool:
    """Whether an image's name says that it is the mask of another."""
    return _MASK_NAME.fullmatch(Path(path).stem) is not None


class _Walk:
    """One walk; it knows which folders it has entered by a link."""

    def __init__(self, root: Path, listing: Listing) -> None:
        self._root, self._listing = root, listing
        self._entered: set[_Inode] = set()

    def fill(self, found: Folder, above: frozenset[_Inode]) -> None:
        """Read a folder; `above` is itself and the folders that it lies in."""
        folders, files = self._entries(found)
        masks = _masks(Path(file.name).stem for file in files)
        for file in files:
            path = _join(found, file)
            if Path(file.name).stem in masks:
                self._listing.ignored[MASK] += 1
            elif reason := _why_no_file(file):
                self._listing.unreadable.append((path, reason))
            else:
                found.images.append(path)
        masks = {name for name in _masks(f.name for f in folders) if "label" not in name.lower()}
        for folder in folders:
            inner = self._enter(found, folder, above)
            if folder.name in masks or nfc(folder.name).casefold() in _MASK_FOLDERS:
                self._listing.ignored[MASK] += sum(1 for _ in inner.walk())
            else:
                found.folders.append(inner)

    def _enter(self, outer: Folder, entry: "os.DirEntry[str]", above: frozenset[_Inode]) -> Folder:
        """A folder in another; empty where a link leads back to what was entered."""
        found, inode = Folder(_join(outer, entry)), _inode(Path(entry.path))
        if inode in above or (entry.is_symlink() and inode in self._entered):
            self._listing.ignored[_MET] += 1
            return found
        if entry.is_symlink():
            self._entered.add(inode)
        self.fill(found, above | {inode})
        return found

    def _entries(self, found: Folder) -> tuple[list["os.DirEntry[str]"], ...]:
        """The folders in one, and what has an image's suffix; the rest is counted."""
        folders, files = [], []
        for entry in self._scan(found):
            name, suffix = entry.name, Path(entry.name).suffix.lower()
            if not _is_utf8(name):
                self._refuse(_join(found, entry), "its name is not UTF-8; rename it")
            elif name.startswith(".") or nfc(name).casefold() in _SYSTEM:
                self._listing.ignored[_HIDDEN] += 1
            elif _is(entry.is_dir):
                folders.append(entry)
            elif suffix in SUFFIXES:
                files.append(entry)
            else:
                kind = (suffix or "no suffix") if _is(entry.is_file) else _SPECIAL
                self._listing.ignored[kind] += 1
        return folders, files

    def _scan(self, found: Folder) -> list["os.DirEntry[str]"]:
        if found.path.count("/") > _DEPTH:
            self._refuse(found.path, f"more than {_DEPTH} folders in one another")
            return []
        try:
            return sorted(os.scandir(self._root / found.path), key=lambda entry: entry.name)
        except OSError as error:
            self._refuse(found.path, error.strerror or str(error))
            return []

    def _refuse(self, path: str, reason: str) -> None:
        """List what cannot be read, under a name that can be printed and kept."""
        printable = os.fsencode(path).decode(errors="backslashreplace")
        self._listing.unreadable.append((printable, reason))


def _masks(names: Iterable[str]) -> set[str]:
    """Those names that are masks of others: `a_mask` beside `a`."""
    keys = {name: nfc(name).casefold() for name in names}
    found = {name: _MASK_NAME.fullmatch(key) for name, key in keys.items()}
    return {n for n, m in found.items() if m and (m[1] or m[2]) in keys.values()}


def _join(outer: Folder, entry: "os.DirEntry[str]") -> str:
    return f"{outer.path}/{entry.name}" if outer.path else entry.name


def _why_no_file(entry: "os.DirEntry[str]") -> str | None:
    if _is(entry.is_file):
        return None
    broken = entry.is_symlink() and not Path(entry.path).exists()
    return "the link leads nowhere" if broken else "a FIFO, device or socket, no file"


def _is(asked: Callable[[], bool]) -> bool:
    try:
        return asked()
    except OSError:
        return False  # a link to itself


def _inode(folder: Path) -> _Inode:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
