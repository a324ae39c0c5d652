"""Asking for labels: audit, batches, and what is chosen before a model can tell."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jobs.campaign.acquire import ask_next
from jobs.campaign.opening import open_campaign
from jobs.campaign.run import run
from jobs.campaign.train import train_round
from models.errors import CampaignError
from tests.jobs.campaigns import labels_of, small
from tests.jobs.fakes import FakeContext, write_castings


def _with_rare_defects(folder: Path) -> Path:
    """Sixty castings, and six that have a spot of white each where no other has one."""
    data = write_castings(folder / "rare", {"ok": 60})
    (data / "def").mkdir()
    for number in range(6):
        pixels = np.array(Image.open(data / "ok" / f"{number:03d}.png"))
        pixels[5 * number : 5 * number + 3, 10:13] = 255
        Image.fromarray(pixels).save(data / "def" / f"{number:03d}.png")
    return data


def test_the_audit_is_paid_comes_from_the_test_side_and_is_never_trained_on(
    fake: FakeContext, castings: Path
):
    context = fake.open()
    result = run(context, small(castings))
    session = open_campaign(context, small(castings))
    for asked in session.reread().state.asked:
        assert session.campaign.sides[asked.casting] == (
            "test" if asked.use == "audit" else "train"
        )
    metrics = result["rounds"][-1]["metrics"]
    assert (metrics["labels/total"], metrics["labels/train"]) == (20, 16)


def test_without_an_audit_share_every_label_is_trained_on(fake: FakeContext, castings: Path):
    result = run(fake.open(), small(castings, audit_share=0.0, rounds=2))
    metrics = result["rounds"][-1]["metrics"]
    assert metrics["labels/total"] == metrics["labels/train"] == 15


def test_no_casting_is_asked_for_twice(fake: FakeContext, castings: Path):
    context = fake.open()
    result = run(context, small(castings, rounds=5))
    asked = [a.casting for a in context.ledger.asked(result["campaign"])]
    assert len(asked) == len(set(asked)) == 30


def test_a_file_that_went_away_sits_out_one_ranking_only(fake: FakeContext, castings: Path):
    context = fake.open()
    run(context, small(castings, rounds=1))
    session = open_campaign(context, small(castings, rounds=2))
    gone = session.reread().pool()[0]
    path = castings / gone.paths[0]
    content = path.read_bytes()
    path.unlink()
    ask_next(session.reread())
    assert any("changed or went away" in line for line in fake.said)
    assert context.ledger.seen()[gone.id].unreadable is None
    path.write_bytes(content)
    assert run(context, small(castings, rounds=3))["state"] == "finished"


def test_random_asks_the_service_nothing(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, strategy="random"))
    assert fake.scorer.requests == []


def test_a_strategy_gets_only_what_it_needs(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, strategy="margin", rounds=2))
    run(fake.open(), small(castings, strategy="bald", rounds=2))
    assert [r.include for r in fake.scorer.requests] == [(), ("posterior",)]


def test_until_a_second_class_is_labelled_batches_are_chosen_by_what_is_odd_to_look_at(
    fake: FakeContext, tmp_path: Path
):
    data = _with_rare_defects(tmp_path)
    context = fake.open()
    options = small(data, initial=5, audit_share=0.0, campaign="rare", seed=1)
    result = run(context, options)
    first, second, third = (
        [a.casting for a in context.ledger.asked("rare") if a.round == number]
        for number in range(3)
    )
    labels = labels_of(context)
    assert {labels[casting] for casting in first} == {"ok"}
    assert [labels[casting] for casting in second[:2]] == ["def", "def"]
    told = [line for line in fake.said if "cannot tell yet" in line]
    assert told == [
        "all 5 labels are ok: bald cannot tell yet what another class looks like, so this batch "
        "is chosen by novelty"
    ]
    last = fake.tracker.runs[result["rounds"][1]["run_id"]].files["acquired.csv"]
    acquired = pd.read_csv(io.BytesIO(last))
    assert list(acquired["casting"]) == third
    assert acquired["bald"].is_monotonic_decreasing


def test_a_strategy_that_asks_for_no_classes_goes_its_own_way_from_the_beginning(
    fake: FakeContext, tmp_path: Path
):
    data = _with_rare_defects(tmp_path)
    run(fake.open(), small(data, initial=5, audit_share=0.0, strategy="coreset"))
    assert not [line for line in fake.said if "cannot tell yet" in line]


def test_castings_that_the_service_cannot_read_are_set_aside_for_good(
    fake: FakeContext, castings: Path
):
    context = fake.open()
    session = open_campaign(context, small(castings))
    bad = next(
        c.id for c in session.campaign.data.castings if session.campaign.sides[c.id] == "train"
    )
    fake.scorer.refuse = {bad: "truncated"}
    result = run(context, small(castings))
    asked = {a.casting for a in context.ledger.asked(result["campaign"])}
    if bad not in asked:  # unless the initial draw, which asks nobody, had it
        assert context.ledger.seen()[bad].unreadable == "truncated"
        assert any("truncated" in line for line in fake.said)


def test_a_pool_that_runs_dry_ends_the_campaign(fake: FakeContext, castings: Path):
    result = run(fake.open(), small(castings, rounds=9, batch=20, audit_share=0.0))
    assert result["state"] == "finished: no castings are left to ask for"
    assert result["rounds"][-1]["labels"] == 32  # all of the train side


def test_steps_out_of_order_are_refused(fake: FakeContext, castings: Path):
    context = fake.open()
    options = small(castings, rounds=1)
    session = open_campaign(context, options)
    with pytest.raises(CampaignError, match="no model yet"):
        ask_next(session.reread())
    with pytest.raises(CampaignError, match="asked for no castings"):
        train_round(session.reread())
    run(context, options)
    ask_next(session.reread())
    with pytest.raises(CampaignError, match="already asked for 5 castings"):
        ask_next(session.reread())
    with pytest.raises(CampaignError, match=r"5 of 15 castings.*have no label"):
        train_round(session.reread())


def test_small_batches_take_turns_to_be_audited(fake: FakeContext, castings: Path):
    context = fake.open()
    run(context, small(castings, rounds=6, batch=1, initial=10, audit_share=0.4, steps=1))
    uses = [a.use for a in context.ledger.asked("castings-bald-0") if a.round > 0]
    assert uses.count("audit") == 2
    assert uses.count("train") == 3
