"""Which word on a casting counts."""

from jobs.campaign.answers import disagreements, standing
from jobs.campaign.ports import ORACLE, SKIP, Said


def _said(*words: tuple[str, str, str]) -> list[Said]:
    return [Said(number, *word) for number, word in enumerate(words, 1)]


def _labels(said: list[Said], until: int | None = None) -> dict[str, str]:
    return {casting: word.label for casting, word in standing(said, until).items()}


def test_the_latest_word_of_a_person_counts_and_the_oracles_only_where_nobody_spoke():
    said = _said(
        ("a", "ok", ORACLE), ("a", "def", "ann"), ("a", "ok", ORACLE),
        ("b", "ok", "ann"), ("b", "def", "bob"),
        ("c", "ok", ORACLE), ("c", "def", ORACLE),
    )  # fmt: skip
    assert _labels(said) == {"a": "def", "b": "def", "c": "def"}


def test_what_counted_earlier_can_be_told():
    said = _said(("a", "ok", ORACLE), ("b", "ok", "ann"), ("a", "def", "ann"), ("b", SKIP, "bob"))
    assert _labels(said, 2) == {"a": "ok", "b": "ok"}
    assert _labels(said, 0) == {}
    assert _labels(said) == {"a": "def", "b": SKIP}


def test_people_disagree_who_last_called_a_casting_differently():
    said = _said(
        ("a", "ok", "ann"), ("a", "def", "bob"),
        ("b", "ok", "ann"), ("b", "def", "bob"), ("b", "ok", "bob"),
        ("c", "ok", "ann"), ("c", SKIP, "bob"),
        ("d", "ok", ORACLE), ("d", "def", "ann"),
    )  # fmt: skip
    assert disagreements(said) == {"a": {"ann": "ok", "bob": "def"}}
