"""On which side of the split a part lies: pure rules, whatever castings were read from."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.datasets.castings import Casting, Side
from models.errors import DataError

TEST_SHARE = 0.2


@dataclass(frozen=True)
class PartSide:
    """On which side a part lies, and the class within which that was decided."""

    part: str
    stratum: str
    side: Side


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
    least two test parts and one to train on, or it is a DataError. A part's class is the commonest
    label of its castings.
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
