"""A round's contact sheet, and the maps on it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobs.campaign import contact_sheet
from jobs.campaign.contact_sheet import Thumbnail, draw_sheet
from jobs.campaign.run import run
from jobs.options import RunOptions
from models.evaluation import figures
from tests.jobs.fakes import FakeContext
from tests.rendering import assert_renders


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> list[list[contact_sheet.Thumbnail]]:
    """What is drawn, without drawing it."""
    drawn: list[list[contact_sheet.Thumbnail]] = []
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


def test_a_large_batch_has_more_sheets_and_maps_on_the_first(
    fake: FakeContext,
    castings: Path,
    sheets: list[list[contact_sheet.Thumbnail]],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(contact_sheet, "SHEET", 3)
    run(fake.open(), options(castings))
    assert len(fake.scorer.explained) == 3
    mapped = [[one.beside is not None for one in sheet] for sheet in sheets]
    assert mapped == [[True, True, True], [False]]
    files = set().union(*(run.files for run in fake.tracker.runs.values()))
    assert {"contact_sheet.png", "contact_sheet_2.png"} <= files


def test_a_caption_names_the_file_and_the_doubt_that_bald_is_part_of(
    fake: FakeContext, castings: Path, sheets: list[list[contact_sheet.Thumbnail]]
):
    run(fake.open(), options(castings))
    named, doubt = sheets[0][0].caption.splitlines()
    assert re.fullmatch(r"#0 \S+\.png", named)
    found = re.fullmatch(r"(ok|def)\?  BALD (\d\.\d\d) of H (\d\.\d\d)", doubt)
    assert found is not None
    assert float(found[2]) <= float(found[3])


def test_without_pictures_a_round_draws_none(
    fake: FakeContext, castings: Path, sheets: list[list[contact_sheet.Thumbnail]]
):
    run(fake.open(), replace(options(castings), pictures=False))
    assert sheets == []
    files = set().union(*(run.files for run in fake.tracker.runs.values()))
    assert {name for name in files if name.endswith(".png")} == set()
    assert "acquired.csv" in files


def test_a_strategy_that_asks_nothing_of_the_model_gets_no_maps(
    fake: FakeContext, castings: Path, sheets: list[list[contact_sheet.Thumbnail]]
):
    run(fake.open(), options(castings, "random"))
    assert fake.scorer.explained == []
    assert [one.beside for one in sheets[0]] == [None] * 4


# --- what is drawn -----------------------------------------------------------------------------


def thumbnails(count: int, *, colour: bool = False) -> list[Thumbnail]:
    shape = (20, 20, 3) if colour else (20, 20)
    random = np.random.default_rng(0)
    return [
        Thumbnail(random.integers(0, 256, shape, dtype=np.uint8), f"#{i} def?")
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "colour"), [(7, False), (2, True), (0, False)], ids=["grey", "colour", "empty"]
)
def test_a_sheet_renders_the_same_each_time_and_leaves_pyplot_alone(count: int, *, colour: bool):
    assert_renders(lambda: draw_sheet(thumbnails(count, colour=colour), "round 1 by bald"))


def test_castings_stand_in_order_of_choice():
    figure = draw_sheet(thumbnails(7), "batch")
    captions = [axis.get_title() for axis in figure.axes if axis.images]
    assert captions == [f"#{i} def?" for i in range(7)]
    assert figure.get_suptitle() == "batch"


def test_a_contact_sheet_shows_pixels_as_they_are_not_stretched_to_full_contrast():
    dim = Thumbnail(np.full((9, 9), 100, dtype=np.uint8), "dim")
    (drawn,) = draw_sheet([dim], "batch").axes[0].images
    assert drawn.get_clim() == (0, 255)


def test_a_casting_stands_beside_its_map_where_there_is_one():
    photo, under_map = thumbnails(2, colour=True)
    pair = Thumbnail(photo.pixels, "#0", beside=under_map.pixels)
    both, alone = (axis.images[0].get_array() for axis in draw_sheet([pair, photo], "").axes[:2])
    assert np.array_equal(both, np.hstack([photo.pixels, under_map.pixels]))
    assert np.array_equal(alone, photo.pixels)


def test_dollar_signs_in_the_users_names_are_not_taken_for_mathematics():
    name = r"part$\nonsense$"
    assert figures.png(draw_sheet([Thumbnail(np.zeros((4, 4), np.uint8), name)], name))
