from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.adapters.ledger import Ledger
from jobs.campaign.ports import Asked, CampaignRow, Trained
from jobs.datasets.ports import Seen
from jobs.datasets.split import PartSide


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


ROW = CampaignRow("a", {"data": "synthetic", "seed": 0}, 5, 1)


def test_a_campaign_comes_back_as_it_was_begun(ledger: Ledger):
    row = ledger.begin(ROW)
    assert replace(row, begun="") == ROW
    assert ledger.campaign("a") == row
    assert ledger.campaign("b") is None
    assert ledger.begin(replace(ROW, rounds=9)) == row


def test_a_campaign_has_one_run(ledger: Ledger):
    ledger.begin(ROW)
    ledger.record_run("a", "run-1")
    ledger.record_run("a", "run-2")
    row = ledger.campaign("a")
    assert row is not None
    assert row.run_id == "run-1"


def test_the_latest_length_counts(ledger: Ledger):
    ledger.begin(ROW)
    ledger.lengthen("a", 8)
    row = ledger.campaign("a")
    assert row is not None
    assert row.rounds == 8


def test_a_batch_is_asked_for_once(ledger: Ledger):
    ledger.ask("a", 0, [("c1", "train"), ("c2", "audit")])
    ledger.ask("a", 0, [("c3", "train")])
    ledger.ask("a", 1, [("c4", "train")])
    assert ledger.asked("a") == [
        Asked(0, 0, "c1", "train"),
        Asked(0, 1, "c2", "audit"),
        Asked(1, 0, "c4", "train"),
    ]
    assert ledger.asked("b") == []


def test_the_same_labels_again_are_no_news(ledger: Ledger):
    assert ledger.record_labels([("c1", "ok", "ann"), ("c2", "def", "ann")]) == 2
    assert ledger.record_labels([("c1", "ok", "ann"), ("c2", "def", "ann")]) == 0
    assert ledger.labels() == {"c1": "ok", "c2": "def"}


def test_the_latest_label_counts_and_old_news_do_not_undo_it(ledger: Ledger):
    ledger.record_labels([("c1", "ok", "ann")])
    ledger.record_labels([("c1", "def", "bob")])
    assert ledger.labels() == {"c1": "def"}
    assert ledger.record_labels([("c1", "ok", "ann")]) == 0
    assert ledger.labels() == {"c1": "def"}


def test_a_round_is_recorded_once(ledger: Ledger):
    first = Trained(0, "run", "1", 40, {"test/accuracy": 0.5})
    ledger.record_round("a", first)
    ledger.record_round("a", Trained(0, "run", "2", 40, {}))
    assert ledger.rounds("a") == [first]


def test_parts_stay_where_they_are(ledger: Ledger):
    ledger.record_sides("data", "given", [PartSide("p1", "ok", "test")])
    ledger.record_sides(
        "data", "given", [PartSide("p1", "ok", "train"), PartSide("p2", "", "train")]
    )
    assert ledger.sides("data", "given") == {
        "p1": PartSide("p1", "ok", "test"),
        "p2": PartSide("p2", "", "train"),
    }
    assert ledger.sides("data", "by-part/0") == {}


def test_the_latest_word_on_a_casting_counts(ledger: Ledger):
    empty = Seen("b.png", "empty file")
    ledger.record_seen("data", {"c1": Seen("a.png"), "c2": empty})
    bad = Seen("moved.png", "the service cannot read it")
    ledger.record_seen("data", {"c1": bad})
    assert ledger.seen("data") == {"c1": bad, "c2": empty}
    ledger.record_seen("other", {"c2": Seen("c.png", "empty file")})
    assert ledger.seen("other") == {"c2": Seen("c.png", "empty file")}
    assert ledger.seen()["c1"] == bad


def test_by_which_limits_a_casting_was_unreadable_is_remembered(ledger: Ledger):
    ledger.record_seen("data", {"c1": Seen("a.png", "too large", "old")})
    ledger.record_seen("data", {"c1": Seen("a.png", "too large", "new")})
    assert ledger.seen() == {"c1": Seen("a.png", "too large", "new")}
    ledger.record_seen("data", {"c1": Seen("a.png")})
    assert ledger.seen() == {"c1": Seen("a.png")}


def test_another_process_sees_what_was_written(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    first, second = Ledger(url), Ledger(url)
    row = first.begin(ROW)
    assert second.campaigns() == [row]
    first.close()
    second.close()


def test_of_several_lines_the_last_one_counts_whoever_wrote_it(ledger: Ledger):
    lines = [("c2", "ok", "ann"), ("c1", "ok", "bob"), ("c1", "def", "ann")]
    assert ledger.record_labels(lines) == 3
    assert ledger.labels() == {"c1": "def", "c2": "ok"}


def test_two_jobs_that_place_the_same_parts_at_once_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    first, second = Ledger(url), Ledger(url)
    sides = first.sides

    def slow(data: str, split: str) -> dict[str, PartSide]:
        known = sides(data, split)
        second.record_sides("data", "given", [PartSide("p1", "ok", "test")])  # gets in between
        return known

    monkeypatch.setattr(first, "sides", slow)
    first.record_sides(
        "data", "given", [PartSide("p1", "ok", "train"), PartSide("p2", "ok", "train")]
    )
    assert second.sides("data", "given") == {
        "p1": PartSide("p1", "ok", "test"),
        "p2": PartSide("p2", "ok", "train"),
    }
    first.close()
    second.close()


def test_labels_are_looked_up_however_many_are_given_at_once(ledger: Ledger):
    labels = [(f"c{number}", "ok", "ann") for number in range(1201)]
    assert ledger.record_labels(labels) == 1201
    assert ledger.record_labels([("c7", "def", "bob"), *labels]) == 1
    assert ledger.record_labels([("c7", "def", "ann"), *labels]) == 2  # the last line is theirs
    assert ledger.labels()["c7"] == "ok"


def test_the_first_start_that_is_recorded_counts(tmp_path: Path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert ledger.record_start("a", "0" * 64) == "0" * 64
    assert ledger.record_start("a", "1" * 64) == "0" * 64
    assert ledger.record_start("b", "1" * 64) == "1" * 64
    ledger.close()
