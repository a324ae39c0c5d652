"""Which part stands on which side, and that it stays there."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.datasets.castings import Casting
from jobs.datasets.split import PartSide, leaked_test_castings, part_hash, place_parts
from models.errors import DataError

quick = settings(max_examples=60, deadline=None)


def castings_of(parts):
    """One casting a part, from (part, label) pairs."""
    return [Casting(f"id-{part}", (f"{part}.png",), label, part) for part, label in parts]


def many(label, count, prefix=""):
    return [(f"{prefix}{label}-{i}", label) for i in range(count)]


def on_test_side(placed):
    return {part for part, place in placed.items() if place.side == "test"}


# --- properties ---------------------------------------------------------------------------------

labels = st.sampled_from(["ok", "def", None])


pools = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=4), labels, max_size=25)


GOLDEN = [0.760952, 0.925381, 0.965734, 0.85506]


def test_test_castings_whose_part_stands_in_train_are_counted():
    found = [
        Casting("a", (), part="p"),
        Casting("b", (), part="p"),
        Casting("c", (), part="p"),
        Casting("d", (), part="q"),
        Casting("e", ()),
    ]
    sides = {"a": "train", "b": "test", "c": "test", "d": "test", "e": "test"}
    assert leaked_test_castings(found, sides) == 2


def test_castings_without_a_part_never_leak():
    found = [Casting("a", ()), Casting("b", ())]
    assert leaked_test_castings(found, {"a": "train", "b": "test"}) == 0


# --- the test side ------------------------------------------------------------------------------


def test_a_fifth_of_each_class_goes_to_the_test_side_those_of_lowest_hash():
    parts = many("ok", 20) + many("def", 15)
    placed = place_parts(castings_of(parts), 0, {})
    for label, count in (("ok", 4), ("def", 3)):
        names = [part for part, of in parts if of == label]
        lowest = sorted(names, key=lambda part: part_hash(part, 0))[:count]
        assert {p for p in on_test_side(placed) if placed[p].stratum == label} == set(lowest)


def test_a_rare_class_still_has_two_parts_to_test_and_one_to_train():
    placed = place_parts(castings_of(many("ok", 50) + many("def", 3)), 0, {})
    assert [p.side for p in placed.values() if p.stratum == "def"].count("test") == 2


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_too_small_to_be_split_is_an_error_that_says_so(count):
    with pytest.raises(DataError, match=f"class def has {count} part"):
        place_parts(castings_of(many("ok", 10) + many("def", count)), 0, {})


def test_parts_without_labels_are_split_too():
    placed = place_parts(castings_of([(f"p{i}", None) for i in range(10)]), 0, {})
    assert len(on_test_side(placed)) == 2


def test_all_castings_of_a_part_stand_on_one_side_with_its_commonest_label():
    shown = [
        Casting("1", (), "def", "p0"),
        Casting("2", (), "def", "p0"),
        Casting("3", (), "ok", "p0"),
        *castings_of(many("def", 4) + many("ok", 5)),
    ]
    assert place_parts(shown, 0, {})["p0"].stratum == "def"


def test_equally_common_labels_of_a_part_are_settled_by_name():
    shown = [Casting("1", (), "ok", "p"), Casting("2", (), "def", "p")]
    rest = castings_of(many("def", 4) + many("ok", 4))
    assert place_parts([*shown, *rest], 0, {})["p"].stratum == "def"
    assert place_parts([*reversed(shown), *rest], 0, {})["p"].stratum == "def"


def test_another_split_seed_gives_another_test_side():
    castings = castings_of(many("ok", 40) + many("def", 40))
    assert on_test_side(place_parts(castings, 0, {})) != on_test_side(place_parts(castings, 1, {}))


def test_a_new_part_of_a_known_class_joins_the_test_side_when_its_hash_is_below_a_fifth():
    known = place_parts(castings_of(many("ok", 5)), 0, {})
    placed = place_parts(castings_of(many("ok", 200, "new ")), 0, known)
    new = set(placed) - set(known)
    assert new & on_test_side(placed) == {part for part in new if part_hash(part, 0) < 0.2}
    assert 20 < len(new & on_test_side(placed)) < 60


def test_what_is_known_is_not_written_to():
    known = {"p": PartSide("p", "ok", "test")}
    place_parts(castings_of(many("ok", 9)), 0, known)
    assert known == {"p": PartSide("p", "ok", "test")}


@quick
@given(pools, st.integers(0, 99))
def test_membership_never_changes_as_the_pool_grows(pool, split_seed):
    first = many("ok", 5, "first ") + many("def", 3, "first ") + many(None, 2, "first ")
    before = place_parts(castings_of(first), split_seed, {})
    grown = castings_of([*first, *pool.items()])
    after = place_parts(grown, split_seed, before)
    assert {part: after[part] for part in before} == before
    assert set(after) == set(before) | set(pool)
    # nor do two steps of growth give another side than one
    half = castings_of([*first, *list(pool.items())[: len(pool) // 2]])
    assert place_parts(grown, split_seed, place_parts(half, split_seed, before)) == after


@quick
@given(st.integers(3, 30), st.integers(3, 30), st.integers(0, 99), st.randoms())
def test_every_class_has_two_test_parts_a_fifth_or_more_and_one_to_train(ok, bad, seed, random):
    castings = castings_of(many("ok", ok) + many("def", bad))
    placed = place_parts(castings, seed, {})
    for label, count in (("ok", ok), ("def", bad)):
        sides = [p.side for p in placed.values() if p.stratum == label]
        assert sides.count("test") == max(2, round(count / 5))
        assert "train" in sides
    random.shuffle(castings)
    assert place_parts(castings, seed, {}) == placed


# --- an independent oracle and a golden ---------------------------------------------------------


@quick
@given(st.text(max_size=20), st.integers(0, 2**63 - 1))
def test_the_hash_is_the_head_of_sha_256_as_a_fraction(part, seed):
    digest = hashlib.sha256(f"{seed}:{part}".encode()).hexdigest()
    assert part_hash(part, seed) == int(digest[:16], 16) / 2**64
    assert 0 <= part_hash(part, seed) <= 1


def test_the_hash_is_the_one_that_placed_the_parts_of_existing_ledgers():
    assert [round(part_hash(f"part-{i}", 0), 6) for i in range(4)] == GOLDEN
