import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.datasets.castings import (
    Casting,
    class_names,
    duplicate_test_castings,
    good_class,
    merge,
)
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


# --- equal bytes --------------------------------------------------------------------------------


def test_copies_become_one_casting_with_all_its_paths():
    merged = merge([Casting("x", ("b.png",)), Casting("a", ("c.png",)), Casting("x", ("a.png",))])
    assert merged == [Casting("a", ("c.png",)), Casting("x", ("a.png", "b.png"))]


def test_a_label_part_or_mask_of_one_copy_holds_for_all():
    copies = [Casting("x", ("1",)), Casting("x", ("2",), label="ok", part="p", mask="m.png")]
    assert merge(copies) == [Casting("x", ("1", "2"), "ok", "p", mask="m.png")]


@pytest.mark.parametrize("what", ["label", "part"])
def test_copies_that_contradict_each_other_are_refused_with_their_paths(what):
    copies = [Casting("x", ("a.png",), **{what: "v"}), Casting("x", ("b.png",), **{what: "w"})]
    with pytest.raises(DataError, match=rf"2 {what}s \(v, w\): a.png, b.png"):
        merge(copies)


def test_of_copies_on_both_sides_the_test_one_is_dropped():
    copies = [Casting("x", ("te.png",), side="test"), Casting("x", ("tr.png",), side="train")]
    assert [c.side for c in merge(copies)] == ["train"]


def test_copies_on_the_test_side_alone_stay_there():
    copies = [Casting("x", ("a",), side="test"), Casting("x", ("b",), side="test")]
    assert [c.side for c in merge(copies)] == ["test"]


def test_test_castings_whose_bytes_stand_in_train_are_counted():
    found = [
        Casting("both", ("1",), side="test"),
        Casting("both", ("2",), side="train"),
        Casting("twice in test", ("3",), side="test"),
        Casting("twice in test", ("4",), side="test"),
        Casting("train", ("5",), side="train"),
    ]
    assert duplicate_test_castings(found) == 1


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


def test_a_casting_without_a_part_is_a_part_of_its_own():
    assert Casting("x", ()).part_key == "x"
    assert Casting("x", (), part="p").part_key == "p"


# --- classes ------------------------------------------------------------------------------------


def test_classes_come_from_the_labels_in_order():
    assert class_names(["ok", "def", "ok"], ()) == ("def", "ok")


def test_given_classes_keep_their_order_and_may_have_no_label_yet():
    assert class_names(["ok"], ("ok", "def", "crack")) == ("ok", "def", "crack")


def test_a_label_outside_the_given_classes_is_refused_by_name():
    with pytest.raises(DataError, match=r"scratch .*not among the classes ok, def.*--classes"):
        class_names(["ok", "scratch"], ("ok", "def"))


@pytest.mark.parametrize(
    ("labels", "given_classes"), [([], ()), (["ok"], ()), ([], ("ok",)), (["ok"], ("ok", "ok"))]
)
def test_fewer_than_two_different_classes_are_refused(labels, given_classes):
    with pytest.raises(DataError, match="at least two different classes"):
        class_names(labels, given_classes)


@pytest.mark.parametrize("name", ["ok_front", "OK", "good", "Good castings"])
def test_the_good_class_is_the_one_that_starts_with_ok_or_good(name):
    assert good_class(("def_front", name), "auto") == name


def test_without_one_good_class_there_is_none():
    assert good_class(("crack", "pore"), "auto") is None
    assert good_class(("ok_front", "ok_back", "def"), "auto") is None
    assert good_class(("not_ok", "broken"), "auto") is None


def test_the_good_class_may_be_named():
    assert good_class(("fine", "crack"), "fine") == "fine"
    with pytest.raises(DataError, match="--good flawless: the classes are fine, crack"):
        good_class(("fine", "crack"), "flawless")


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


# --- properties ---------------------------------------------------------------------------------

labels = st.sampled_from(["ok", "def", None])
pools = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=4), labels, max_size=25)


@st.composite
def copies(draw):
    return Casting(
        draw(st.sampled_from("xyz")),
        (draw(st.text("abc", min_size=1, max_size=3)),),
        side=draw(st.sampled_from(["train", "test", None])),
        mask=draw(st.sampled_from([None, "m1.png", "m2.png"])),
    )


@quick
@given(st.lists(copies(), max_size=8), st.randoms(use_true_random=False))
def test_the_order_in_which_files_are_found_changes_no_merged_casting(found, random):
    assert merge(random.sample(found, len(found))) == merge(found)


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


GOLDEN = [0.760952, 0.925381, 0.965734, 0.85506]
