"""The maps on a round's contact sheet."""

from pathlib import Path

import pytest

from jobs.campaign import contact_sheet, train
from jobs.campaign.run import run
from jobs.options import RunOptions
from models.evaluation import figures
from tests.jobs.fakes import FakeContext, tiny_fit


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> list[list[contact_sheet.Thumbnail]]:
    """What is drawn, without drawing it."""
    drawn: list[list[contact_sheet.Thumbnail]] = []
    monkeypatch.setattr(train, "fit", tiny_fit)
    monkeypatch.setattr(contact_sheet, "draw_sheet", lambda shown, _: drawn.append(list(shown)))
    monkeypatch.setattr(figures, "png", lambda _: b"png")
    return drawn


def options(data: Path, strategy: str = "bald") -> RunOptions:
    return RunOptions(
        data=str(data), strategy=strategy, rounds=2, batch=5, initial=10, passes=8, image_size=32
    )


def test_the_castings_on_the_sheet_are_explained_by_the_version_that_ranked_them(
    fake: FakeContext, castings: Path, sheets: list[list[contact_sheet.Thumbnail]]
):
    run(fake.open(), options(castings))
    (sheet,) = sheets
    assert len(sheet) == len(fake.scorer.explained) == 4
    assert {version for _, version in fake.scorer.explained} == {"1"}
    assert all(one.beside is not None for one in sheet)


def test_without_maps_the_sheet_is_drawn_all_the_same_and_the_log_says_so(
    fake: FakeContext, castings: Path, sheets: list[list[contact_sheet.Thumbnail]]
):
    fake.scorer.explains = False
    assert run(fake.open(), options(castings))["state"] == "finished"
    assert [one.beside for one in sheets[0]] == [None] * 4
    said = "the contact sheet has no maps: the service answers 404: Not Found"
    assert said in fake.said


def test_at_most_the_castings_on_the_sheet_are_explained(
    fake: FakeContext,
    castings: Path,
    sheets: list[list[contact_sheet.Thumbnail]],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(figures, "SHEET", 3)
    run(fake.open(), options(castings))
    assert len(fake.scorer.explained) == 3
    assert [one.beside is not None for one in sheets[0]] == [True, True, True, False]


def test_a_strategy_that_asks_nothing_of_the_model_gets_no_maps(
    fake: FakeContext, castings: Path, sheets: list[list[contact_sheet.Thumbnail]]
):
    run(fake.open(), options(castings, "random"))
    assert fake.scorer.explained == []
    assert [one.beside for one in sheets[0]] == [None] * 4
