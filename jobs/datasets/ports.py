"""What is remembered of data sets, and who remembers it."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from jobs.datasets.split import PartSide


class Seen(NamedTuple):
    """Where in a data set a casting lay when it was last seen, and why it is unreadable."""

    path: str
    unreadable: str | None = None
    judge: str | None = None  # the release and limits by which it is; None: another program's


class InventoryLedger(Protocol):
    """What is remembered of data sets."""

    def seen(self, data: str | None = None) -> dict[str, Seen]:
        """Every casting ever seen in a data set, or anywhere."""

    def record_seen(self, data: str, castings: Mapping[str, Seen]) -> None:
        """Record what was seen in a data set; the latest word counts."""

    def sides(self, data: str, split: str) -> dict[str, PartSide]:
        """The side of every part of a data set that was placed before, by part."""

    def record_sides(self, data: str, split: str, parts: Collection[PartSide]) -> None:
        """Record the side of parts; those known already stay where they are."""
