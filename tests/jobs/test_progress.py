"""Progress of long work."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs.progress import Advance, bar, silent, stepping


def test_off_a_terminal_nothing_is_shown(capsys: pytest.CaptureFixture[str]):
    with bar("reading", 3) as advance:
        advance(3)
    with silent("reading", 3) as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")


def test_a_training_tells_how_far_it_is_and_a_step_that_holds_moves_nothing():
    told: list[object] = []

    @contextmanager
    def progress(what: str, total: int) -> Iterator[Advance]:
        told.append((what, total))
        yield told.append

    with stepping(progress, "round 1") as on_step:
        for position in (1, 2, 2, 3):
            on_step(position, 10, 0.5)
    assert told == [("round 1", 10), 1, 1, 0, 1]


def test_a_training_that_makes_no_step_shows_no_bar():
    with stepping(lambda *_: pytest.fail("a bar was shown"), "round 1"):
        pass
