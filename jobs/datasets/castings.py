"""Castings: images told by their bytes, and the classes that they are of."""

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.errors import DataError, listed

Side = Literal["train", "test"]
_GOOD_PREFIXES = ("ok", "good")
_NOT_IN_METRICS = re.compile(r"[^\w\-. :/]")
_LONGEST = 200  # characters of a class name; MLflow takes 250 for the name of a metric


@dataclass(frozen=True)
class Casting:
    """One image of a part; None where the data set does not say."""

    id: str  # SHA-256 of the file's bytes, hexadecimal; equal bytes are one casting
    paths: tuple[str, ...]  # where those bytes lie, sorted
    label: str | None = None  # class name
    part: str | None = None  # physical object that the image shows
    side: Side | None = None  # that the data set gives it
    mask: str | None = None  # path of the defect's mask, used for evaluation only

    @property
    def part_key(self) -> str:
        """What splits and batches keep whole: the part, or the casting where it has none."""
        return self.part if self.part is not None else self.id


def merge(castings: Iterable[Casting]) -> list[Casting]:
    """Castings in order of id, those of equal bytes made one.

    Of copies on both sides the test one is dropped; a label, part or mask given to one copy holds
    for all.

    Raises:
        DataError: copies have two labels or two parts.
    """
    copies: dict[str, list[Casting]] = defaultdict(list)
    for casting in castings:
        copies[casting.id].append(casting)
    return [_merged(copies[key]) for key in sorted(copies)]


def duplicate_test_castings(castings: Iterable[Casting]) -> int:
    """Count test castings whose bytes stand in train too, before `merge` drops them."""
    sides: dict[str, set[Side | None]] = defaultdict(set)
    for casting in castings:
        sides[casting.id].add(casting.side)
    return sum("test" in s and len(s) > 1 for s in sides.values())


def alike(name: str) -> str:
    """A class name as people who write it otherwise mean it: whatever its case and spaces."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def refuse_alike(names: Iterable[str]) -> None:
    """Refuse class names that differ by case or space only.

    Raises:
        DataError: two of them do.
    """
    _refuse_shared(names, alike, "differ by case or space only", "give them one name")


def in_metrics(name: str) -> str:
    """A class name as a part of a metric's name: `_` for what MLflow refuses there."""
    allowed = _NOT_IN_METRICS.sub("_", name)
    normal = posixpath.normpath(f"of_{allowed}") == f"of_{allowed}"  # MLflow makes paths of them
    return allowed if normal else allowed.replace("/", "_")


def class_names(labels: Iterable[str], given: Sequence[str]) -> tuple[str, ...]:
    """The classes in order: those given, or all labels seen, sorted.

    Raises:
        DataError: a label outside the given classes, fewer than two classes, or two that cannot be
            told apart by people or in MLflow.
    """
    seen = sorted(set(labels))
    outside = [label for label in seen if given and label not in given]
    if outside:
        raise DataError(
            f"{listed(outside)} in the labels, but not among the classes {', '.join(given)}; "
            f"name them all with --classes, or correct them with `label import`"
        )
    classes = tuple(given) or tuple(seen)
    if len(set(classes)) < 2 or len(set(classes)) != len(classes):  # noqa: PLR2004 -- ok and not
        raise DataError(
            f"at least two different classes are needed, there are {len(set(classes))}"
            f" ({', '.join(classes) or 'no labels at all'}); name them with --classes ok,def"
        )
    refuse_alike(classes)
    _refuse_shared(classes, in_metrics, "are the same in MLflow's metrics", "rename one")
    if long := [name for name in classes if len(name) > _LONGEST]:
        raise DataError(
            f"class {long[0][:40]}… has {len(long[0])} characters, MLflow's metrics take "
            f"{_LONGEST}; give it a shorter name"
        )
    return classes


def is_good_name(name: str) -> bool:
    """Whether a name says by itself that there is no defect."""
    return name.strip().lower().startswith(_GOOD_PREFIXES)


def good_class(classes: Sequence[str], asked: str) -> str | None:
    """The class that means "no defect": the one asked for, or with `auto` the one so named.

    None where not exactly one name starts with `ok` or `good`.

    Raises:
        DataError: the class asked for is not there.
    """
    if asked != "auto":
        asked = unicodedata.normalize("NFC", asked)
        if asked not in classes:
            raise DataError(f"--good {asked}: the classes are {', '.join(classes)}")
        return asked
    good = [c for c in classes if is_good_name(c)]
    return good[0] if len(good) == 1 else None


def _refuse_shared(names: Iterable[str], key: Callable[[str], str], why: str, do: str) -> None:
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        by_key[key(name)].append(name)
    shared = [" and ".join(map(repr, same)) for same in by_key.values() if len(same) > 1]
    if shared:
        raise DataError(f"class names {listed(shared)} {why}; {do}")


def _merged(copies: list[Casting]) -> Casting:
    paths = tuple(sorted(path for copy in copies for path in copy.paths))
    for what in ("label", "part"):
        values = sorted({v for c in copies if (v := getattr(c, what)) is not None})
        if len(values) > 1:
            raise DataError(
                f"the same bytes have {len(values)} {what}s ({', '.join(values)}): "
                f"{listed(paths)}; keep the right one"
            )
    sides = {c.side for c in copies}
    return replace(
        copies[0],
        paths=paths,
        label=next((c.label for c in copies if c.label is not None), None),
        part=next((c.part for c in copies if c.part is not None), None),
        mask=min((c.mask for c in copies if c.mask is not None), default=None),
        side="test" if sides == {"test"} else ("train" if "train" in sides else None),
    )
