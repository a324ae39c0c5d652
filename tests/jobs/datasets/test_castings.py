import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name

from jobs.datasets.castings import (
    Casting,
    class_names,
    duplicate_test_castings,
    good_class,
    in_metrics,
    merge,
    refuse_alike,
)
from models.errors import DataError

quick = settings(max_examples=60, deadline=None)


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


@pytest.mark.parametrize("other", ["OK", "Ok ", " ok"])
def test_classes_that_differ_by_case_or_space_only_are_refused_by_name(other):
    with pytest.raises(DataError, match=rf"'{other}' and 'ok' differ by case or space only"):
        refuse_alike(["ok", other, "def", "ok"])
    with pytest.raises(DataError, match="differ by case or space only"):
        class_names([], ["ok", other, "def"])


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        *(("ok", "ok"), ("Gehäuse 1", "Gehäuse 1"), ("a,b(c)%", "a_b_c__"), ("a/b", "a/b")),
        *(
            ("a//b", "a__b"),
            ("../b", "../b"),
            ("a/../b", "a_.._b"),
            ("a/", "a_"),
            ("größe+", "größe_"),
        ),
    ],
)
def test_what_mlflow_refuses_in_a_metrics_name_is_replaced(name, metric):
    assert in_metrics(name) == metric
    _validate_metric_name(f"labels/share_{metric}")


def test_classes_that_become_one_in_metrics_and_longer_ones_than_mlflow_takes_are_refused():
    with pytest.raises(DataError, match=r"'a\+b' and 'a,b' are the same in MLflow's metrics"):
        class_names(["a+b", "a,b"], ())
    with pytest.raises(DataError, match="201 characters, MLflow's metrics take 200"):
        class_names(["ok", "x" * 201], ())


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


# --- properties ---------------------------------------------------------------------------------

labels = st.sampled_from(["ok", "def", None])


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
