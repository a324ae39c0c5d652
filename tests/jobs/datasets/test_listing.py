import unicodedata

import pytest

from jobs.datasets.listing import nfc, side_of, split_word


@pytest.mark.parametrize(
    ("name", "word"),
    [
        *(("train", "train"), ("Train", "train"), ("TRAINING", "train"), ("train_set", "train")),
        *(("test", "test"), ("Testing", "test"), ("TEST-SET", "test"), (" test ", "test")),
        *(("unlabelled", "pool"), ("Unlabeled", "pool"), ("un-labelled", "pool")),
        *(("Pool", "pool"), ("unlabeled ", "pool"), ("no_label", "pool")),
        *(("ok", None), ("val", None), ("contest", None), ("trained", None), ("", None)),
    ],
)
def test_the_usual_spellings_of_a_split_are_known(name: str, word: str | None):
    assert split_word(name) == word
    assert side_of(name) == (None if word == "pool" else word)


def test_a_name_is_composed():
    assert nfc(unicodedata.normalize("NFD", "Gehäuse")) == "Gehäuse"
