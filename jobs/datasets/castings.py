"""Castings, and the rules that split them: pure, whatever they were read from."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.errors import DataError

Side = Literal["train", "test"]
TEST_SHARE = 0.2
_GOOD_PREFIXES = ("ok", "good")
_SHOWN = 5  # paths or names that an error message lists


@dataclass(frozen=True)
class Casting:
    """One image of a part.

    Attributes:
        id: SHA-256 of the file's bytes, hexadecimal; equal bytes are one casting.
        paths: where those bytes lie, sorted.
        label: class name from the data set, None where it gives none.
        part: physical object that the image shows, None where unknown.
        side: the side that the data set gives it, None where it gives none.
        mask: path of the defect's mask, used for evaluation only.
    """

    id: str
    paths: tuple[str, ...]
    label: str | None = None
    part: str | None = None
    side: Side | None = None
    mask: str | None = None

    @property
    def part_key(self) -> str:
        """What splits and batches keep whole: the part, or the casting where it has none."""
        return self.part if self.part is not None else self.id


@dataclass(frozen=True)
class PartSide:
    """On which side a part lies, and the class within which that was decided."""

    part: str
    stratum: str
    side: Side


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


def leaked_test_castings(castings: Iterable[Casting], sides: Mapping[str, Side]) -> int:
    """Count test castings whose part stands in train, given the side of each casting id."""
    castings = list(castings)
    trained = {c.part for c in castings if c.part is not None and sides[c.id] == "train"}
    return sum(sides[c.id] == "test" and c.part in trained for c in castings)


def place_parts(
    castings: Sequence[Casting], split_seed: int, known: Mapping[str, PartSide]
) -> dict[str, PartSide]:
    """Put a fifth of the parts on the test side: within each class, those of lowest hash.

    A part that has its side keeps it. In a class that has parts with a side, a new part joins the
    test side when its hash is below a fifth; so nothing moves as the pool grows. Each class has at
    least two test parts and one to train on.

    Args:
        castings: all castings, merged; a part's class is the commonest label of its castings.
        split_seed: another seed gives another test side.
        known: parts placed before, by part.

    Raises:
        DataError: a class has too few parts.
    """
    placed = dict(known)
    for stratum, parts in _new_parts_by_class(castings, known).items():
        ordered = sorted(parts, key=lambda part: (part_hash(part, split_seed), part))
        if any(p.stratum == stratum for p in known.values()):
            test = {p for p in ordered if part_hash(p, split_seed) < TEST_SHARE}
        else:
            test = set(ordered[: _test_parts(stratum, len(ordered))])
        for part in ordered:
            placed[part] = PartSide(part, stratum, "test" if part in test else "train")
    return placed


def part_hash(part: str, seed: int) -> float:
    """A number in 0..1 that is as good as drawn, and always the same for a part and seed."""
    digest = hashlib.sha256(f"{seed}:{part}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def class_names(labels: Iterable[str], given: Sequence[str]) -> tuple[str, ...]:
    """The classes in order: those given, or all labels seen, sorted.

    Raises:
        DataError: a label outside the given classes, or fewer than two classes.
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
    return classes


def good_class(classes: Sequence[str], asked: str) -> str | None:
    """The class that means "no defect", None where the data set has no such class.

    Args:
        classes: all class names.
        asked: a class name, or `auto` for the one whose name starts with `ok` or `good`.

    Raises:
        DataError: the class asked for is not there.
    """
    if asked != "auto":
        if asked not in classes:
            raise DataError(f"--good {asked}: the classes are {', '.join(classes)}")
        return asked
    good = [c for c in classes if c.lower().startswith(_GOOD_PREFIXES)]
    return good[0] if len(good) == 1 else None


def listed(names: Sequence[str]) -> str:
    """Write the first few names, and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


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


def _new_parts_by_class(
    castings: Sequence[Casting], known: Mapping[str, PartSide]
) -> dict[str, list[str]]:
    """Parts without a side, by the commonest label of their castings ("" where none has one)."""
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    for casting in castings:
        if casting.part_key not in known:
            labels[casting.part_key].update([casting.label] if casting.label else [])
    strata: dict[str, list[str]] = defaultdict(list)
    for part, counts in labels.items():
        best = min(counts, key=lambda label: (-counts[label], label), default="")
        strata[best].append(part)
    return strata


def _test_parts(stratum: str, parts: int) -> int:
    fifth = round(parts * TEST_SHARE)
    if not stratum:
        return fifth
    if parts < 3:  # noqa: PLR2004 -- two to test, one to train
        raise DataError(
            f"class {stratum} has {parts} part{'s' if parts > 1 else ''}; a test side needs 2 and "
            f"training 1: add parts, or give the split yourself"
        )
    return max(2, fifth)
