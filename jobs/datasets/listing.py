"""What a data set says that it holds, before a file of it is read."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from jobs.datasets.castings import Side

SIDES: tuple[Side, ...] = ("train", "test")
POOL = "pool"
_SPELT: dict[str, str] = {
    **dict.fromkeys(["train", "training", "trainset", "trainingset", "traindata"], "train"),
    **dict.fromkeys(["test", "testing", "testset", "testingset", "testdata"], "test"),
    **dict.fromkeys(["unlabelled", "unlabeled", "nolabel", "nolabels", POOL], POOL),
}
_BETWEEN = re.compile(r"[\s_\-]+")


class ImageFile(NamedTuple):
    """One image file as the data set describes it; the path is relative to the data set."""

    path: str
    label: str | None = None
    part: str | None = None
    side: Side | None = None
    mask: str | None = None


@dataclass
class Listing:
    """The images that a folder or manifest names, and what was understood on the way."""

    images: list[ImageFile] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)  # files by reason or suffix
    unreadable: list[tuple[str, str]] = field(default_factory=list)  # path, reason
    warnings: list[str] = field(default_factory=list)


def nfc(name: str) -> str:
    """A name as it is compared: composed, however the file system that it comes from spells ä."""
    return unicodedata.normalize("NFC", name)


def split_word(name: str) -> str | None:
    """`train`, `test` or `pool` where a name says so in any case and usual spelling.

    >>> split_word("Training"), split_word("un-labeled"), split_word("ok")
    ('train', 'pool', None)
    """
    return _SPELT.get(_BETWEEN.sub("", nfc(name).casefold()))


def side_of(name: str) -> Side | None:
    """The side that a name says, None for the pool and for anything else."""
    word = split_word(name)
    return next((side for side in SIDES if side == word), None)
