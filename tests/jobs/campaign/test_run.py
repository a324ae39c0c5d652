"""Whole campaigns in process, on fakes that behave."""

from dataclasses import replace
from pathlib import Path

from jobs.campaign.acquire import ask_next
from jobs.campaign.opening import open_campaign
from jobs.campaign.run import run
from tests.jobs.campaigns import labels_of, small
from tests.jobs.fakes import FakeContext, write_castings


def test_a_campaign_trains_asks_and_labels_until_its_rounds_are_done(
    fake: FakeContext, castings: Path
):
    result = run(fake.open(), small(castings))
    assert result["state"] == "finished"
    assert [r["labels"] for r in result["rounds"]] == [10, 15, 20]
    assert [r["version"] for r in result["rounds"]] == ["1", "2", "3"]
    parent = fake.tracker.runs[result["mlflow_run"]]
    assert set(parent.metric("test/accuracy")) == {10, 15, 20}
    assert set(parent.metric("seconds/acquire")) == {10, 15}
    assert parent.status == "FINISHED"


def test_the_same_command_again_changes_nothing(fake: FakeContext, castings: Path):
    first = run(fake.open(), small(castings))
    points = [list(r.points) for r in fake.tracker.runs.values()]
    assert run(fake.open(), small(castings)) == first
    assert [list(r.points) for r in fake.tracker.runs.values()] == points
    assert len(fake.tracker.versions) == 3


def test_a_campaign_stopped_anywhere_goes_on_where_it_was(fake: FakeContext, castings: Path):
    context = fake.open()
    options = small(castings)
    run(context, replace(options, rounds=1))
    session = open_campaign(context, options)
    ask_next(session.reread())  # stopped before anyone labelled
    result = run(context, options)
    assert [r["labels"] for r in result["rounds"]] == [10, 15, 20]


def test_castings_without_a_label_are_awaited(fake: FakeContext, tmp_path: Path):
    data = write_castings(tmp_path / "pool", {"shots": 30}) / "shots"
    options = small(data, classes="ok,def", audit_share=0.0)
    result = run(fake.open(), options)
    assert result["state"] == "awaiting labels"
    assert result["awaiting"] == 10
    assert result["rounds"] == []
    assert result["next"] == [
        "python -m jobs label export labels.csv --campaign shots-bald-0",
        "python -m jobs label import labels.csv --campaign shots-bald-0",
    ]


def test_labels_that_people_give_let_the_campaign_go_on(fake: FakeContext, tmp_path: Path):
    data = write_castings(tmp_path / "pool", {"shots": 30}) / "shots"
    options = small(data, classes="ok,def", audit_share=0.0, rounds=2)
    context = fake.open()
    name = run(context, options)["campaign"]
    asked = [a.casting for a in context.ledger.asked(name)]
    labels = zip(asked, ["ok", "def"] * 5, ["ann"] * 10, strict=True)
    context.ledger.record_labels(context.ledger.campaigns()[0].label_set, labels)
    result = run(context, options)
    assert [r["labels"] for r in result["rounds"]] == [10]
    assert result["awaiting"] == 5
    assert "test/accuracy" not in result["rounds"][0]["metrics"]  # nobody labelled the test side


def test_labels_that_were_corrected_after_the_last_round_are_said_with_how_to_train_again(
    fake: FakeContext, castings: Path
):
    context, options = fake.open(), small(castings, rounds=2, pictures=False)
    run(context, options)
    label_set = context.ledger.campaigns()[0].label_set
    labels, other = labels_of(context), {"ok": "def", "def": "ok"}
    asked = [asked.casting for asked in context.ledger.asked("castings-bald-0")]
    wrong = [(casting, other[labels[casting]], "ann") for casting in asked[:3]]
    context.ledger.record_labels(label_set, [*wrong, (asked[3], labels[asked[3]], "ann")])
    result = run(context, options)
    told = "3 labels changed since round 1; --rounds 3 trains on them as they are now"
    assert result["next"] == told
    assert told in fake.said
    again = run(context, replace(options, rounds=3))
    assert again["rounds"][2]["labels"] == 20
    assert "changed" not in again["next"]
    now = labels_of(context)
    assert {casting: now[casting] for casting, *_ in wrong} == {c: label for c, label, _ in wrong}


def test_corrected_labels_are_trained_on_though_no_castings_are_left(
    fake: FakeContext, castings: Path
):
    context = fake.open()
    options = small(castings, rounds=1, initial=32, audit_share=0.0, pictures=False)
    run(context, options)
    row, first = context.ledger.campaigns()[0], context.ledger.asked("castings-bald-0")[0].casting
    other = "def" if labels_of(context)[first] == "ok" else "ok"
    context.ledger.record_labels(row.label_set, [(first, other, "ann")])
    assert run(context, options)["next"].startswith("1 label changed since round 0; --rounds 2")
    result = run(context, replace(options, rounds=5))
    assert result["state"] == "finished: no castings are left to ask for"
    assert [r["labels"] for r in result["rounds"]] == [32, 32]
