from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs.adapters.ledger import Ledger
from jobs.campaign.answers import standing
from jobs.campaign.ports import Asked, CampaignRow, Said, Trained
from jobs.datasets.ports import Seen
from jobs.datasets.split import PartSide


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


def _labels(ledger: Ledger, label_set: str = "q") -> dict[str, str]:
    """What counts."""
    return {casting: said.label for casting, said in standing(ledger.labels(label_set)).items()}


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
    assert ledger.record_labels("q", [("c1", "ok", "ann"), ("c2", "def", "ann")]) == 2
    assert ledger.record_labels("q", [("c1", "ok", "ann"), ("c2", "def", "ann")]) == 0
    assert _labels(ledger) == {"c1": "ok", "c2": "def"}


def test_the_latest_label_counts_and_old_news_do_not_undo_it(ledger: Ledger):
    ledger.record_labels("q", [("c1", "ok", "ann")])
    ledger.record_labels("q", [("c1", "def", "bob")])
    assert _labels(ledger) == {"c1": "def"}
    assert ledger.record_labels("q", [("c1", "ok", "ann")]) == 0
    assert _labels(ledger) == {"c1": "def"}


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
    assert ledger.record_labels("q", lines) == 3
    assert _labels(ledger) == {"c1": "def", "c2": "ok"}


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
    assert ledger.record_labels("q", labels) == 1201
    assert ledger.record_labels("q", [("c7", "def", "bob"), *labels]) == 1
    assert (
        ledger.record_labels("q", [("c7", "def", "ann"), *labels]) == 2
    )  # the last line is theirs
    assert _labels(ledger)["c7"] == "ok"


def test_the_first_start_that_is_recorded_counts(tmp_path: Path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert ledger.record_start("a", "0" * 64) == "0" * 64
    assert ledger.record_start("a", "1" * 64) == "0" * 64
    assert ledger.record_start("b", "1" * 64) == "1" * 64
    ledger.close()


def test_label_sets_do_not_touch_one_another(ledger: Ledger):
    assert ledger.record_labels("q", [("c1", "ok", "ann"), ("c2", "", "ann")]) == 2
    assert ledger.record_labels("other", [("c1", "tight", "ann")]) == 1
    assert ledger.labels("q") == [Said(1, "c1", "ok", "ann"), Said(2, "c2", "", "ann")]
    assert _labels(ledger, "other") == {"c1": "tight"}
    assert ledger.labels("") == []


@pytest.mark.parametrize("count", [10, 4000])
def test_recording_labels_takes_as_many_statements_however_many_are_known(
    ledger: Ledger, count: int
):
    labels = [(f"c{number}", "ok", "ann") for number in range(count)]
    ledger.record_labels("q", labels)
    statements: list[str] = []
    sa.event.listen(
        ledger.engine, "before_cursor_execute", lambda *said: statements.append(said[2])
    )
    assert ledger.record_labels("q", labels) == 0
    assert ledger.record_labels("q", [(casting, "def", "ann") for casting, *_ in labels]) == count
    assert len(statements) == 3  # a look at the label set each time, and one insertion


def test_a_campaign_knows_its_label_set_and_the_classes_that_it_grew_to(ledger: Ledger):
    options = {"data": "/pool", "classes": "ok,def"}
    ledger.begin(CampaignRow("a", options, 5, 1, label_set="q"))
    ledger.begin(CampaignRow("b", options, 5, 1))
    ledger.widen("a", "ok,def,crack")
    ledger.widen("a", "ok,def,crack,pore")
    rows = {row.name: row for row in ledger.campaigns()}
    assert rows["a"].options == {"data": "/pool", "classes": "ok,def,crack,pore"}
    assert (rows["a"].label_set, rows["b"].label_set) == ("q", "")
    assert rows["b"].options == options


def test_a_batch_says_why_and_a_round_which_label_it_knew_last(ledger: Ledger):
    ledger.ask("a", 0, [("c1", "train"), ("c2", "audit")], {"c1": "bald 0.310"})
    assert [asked.reason for asked in ledger.asked("a")] == ["bald 0.310", ""]
    trained = Trained(0, "run", "1", 40, {}, last_label=7)
    ledger.record_round("a", trained)
    assert ledger.rounds("a") == [trained]
