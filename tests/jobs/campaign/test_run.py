"""Whole campaigns in process, on fakes that behave."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from jobs.campaign.acquire import ask_next
from jobs.campaign.opening import open_campaign, recorded_options
from jobs.campaign.promote import promote, roll_back
from jobs.campaign.run import run
from jobs.campaign.state import _calibrates, pool, read_state
from jobs.campaign.train import train_round
from jobs.datasets.castings import Casting
from jobs.datasets.reader import DataSet, load_pixels
from jobs.options import RunOptions
from models.errors import CampaignError, CastingError, DataError, OutageError, VersionNotFound
from models.images import Preprocessing
from tests.jobs.fakes import FakeContext, casting_bytes, write_castings


def small(data: Path, **changes: object) -> RunOptions:
    """A campaign of seconds: three rounds at 32 px, a few steps each."""
    base = RunOptions(
        data=str(data), rounds=3, batch=5, initial=10, passes=8, steps=3, image_size=32
    )
    return replace(base, **changes)  # type: ignore[arg-type]


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


def test_every_round_leaves_its_artifacts(fake: FakeContext, castings: Path):
    result = run(fake.open(), small(castings, rounds=2))
    first = fake.tracker.runs[result["rounds"][0]["run_id"]]
    assert set(first.files) == {
        "acquired.csv",
        "contact_sheet.png",
        "labels.csv",
        "confusion_matrix.png",
        "reliability_diagram.png",
        "learning_curve.png",
    }
    for name, content in first.files.items():
        if name.endswith(".png"):
            assert Image.open(io.BytesIO(content)).format == "PNG"
    acquired = pd.read_csv(io.BytesIO(first.files["acquired.csv"]))
    assert list(acquired["rank"]) == [0, 1, 2, 3, 4]
    assert list(acquired["use"]) == ["train"] * 4 + ["audit"]
    chosen = acquired[acquired["use"] == "train"]
    assert chosen["bald"].is_monotonic_decreasing
    labels = pd.read_csv(io.BytesIO(first.files["labels.csv"]))
    assert sorted(labels["use"]) == ["audit"] * 2 + ["train"] * 8


def test_the_audit_is_paid_comes_from_the_test_side_and_is_never_trained_on(
    fake: FakeContext, castings: Path
):
    context = fake.open()
    result = run(context, small(castings))
    campaign = open_campaign(context, small(castings))
    for asked in read_state(context, campaign).asked:
        assert campaign.sides[asked.casting] == ("test" if asked.use == "audit" else "train")
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


def test_the_same_command_again_changes_nothing(fake: FakeContext, castings: Path):
    first = run(fake.open(), small(castings))
    points = [list(r.points) for r in fake.tracker.runs.values()]
    assert run(fake.open(), small(castings)) == first
    assert [list(r.points) for r in fake.tracker.runs.values()] == points
    assert len(fake.tracker.versions) == 3


def test_a_campaign_is_lengthened_by_more_rounds(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, rounds=2))
    result = run(fake.open(), small(castings, rounds=3))
    whole = FakeContext(_folder(fake.folder / "other"))
    undisturbed = run(whole.open(), small(castings, rounds=3))
    assert _numbers(result) == _numbers(undisturbed)
    whole.ledger.close()


def test_a_campaign_stopped_anywhere_goes_on_where_it_was(fake: FakeContext, castings: Path):
    context = fake.open()
    options = small(castings)
    run(context, replace(options, rounds=1))
    campaign = open_campaign(context, options)
    ask_next(context, campaign, read_state(context, campaign))  # stopped before anyone labelled
    result = run(context, options)
    assert [r["labels"] for r in result["rounds"]] == [10, 15, 20]


def test_other_options_under_the_same_name_are_refused(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, rounds=1))
    with pytest.raises(CampaignError, match="--batch is 6, it was begun with 5"):
        run(fake.open(), small(castings, batch=6))


def test_campaigns_share_initial_labels_but_never_models(fake: FakeContext, castings: Path):
    context = fake.open()
    a = run(context, small(castings, strategy="bald"))
    b = run(context, small(castings, strategy="margin"))
    first = {
        name: {x.casting for x in context.ledger.asked(name) if x.round == 0}
        for name in (a["campaign"], b["campaign"])
    }
    assert first[a["campaign"]] == first[b["campaign"]]
    versions = [{r["version"] for r in result["rounds"]} for result in (a, b)]
    assert versions[0].isdisjoint(versions[1])
    assert _metric(a, 0, "test/nll") == _metric(b, 0, "test/nll")  # same labels, same weights
    asked_with = [r.version for r in fake.scorer.requests]
    assert set(asked_with[:2]) <= versions[0]
    assert set(asked_with[2:]) <= versions[1]


def test_castings_that_are_only_judged_are_in_memory_a_few_at_a_time(
    fake: FakeContext, castings: Path, monkeypatch: pytest.MonkeyPatch
):
    context, held = fake.open(), []

    def load(data: DataSet, some: list[Casting], look: Preprocessing) -> torch.Tensor:
        held.append(len(some))
        return load_pixels(data, some, look)

    monkeypatch.setattr("jobs.campaign.train.load_pixels", load)
    whole = run(context, small(castings, campaign="whole"))
    assert sum(count > 3 for count in held) > 3  # more than the trainings
    held.clear()
    monkeypatch.setattr("jobs.campaign.train._IN_PIXELS", 3)
    in_parts = run(context, small(castings, campaign="parts"))
    assert _numbers(in_parts) == _numbers(whole)
    assert [count for count in held if count > 3] == [8, 12, 16]  # castings trained on


def test_current_is_left_to_the_campaign_that_has_it(fake: FakeContext, castings: Path):
    mine = run(fake.open(), small(castings, strategy="bald"))
    other = run(fake.open(), small(castings, strategy="random"))
    assert fake.tracker.alias["casting-defects"] == mine["rounds"][-1]["version"]
    assert "promote" not in mine
    assert other["promote"].endswith(f"--version {other['rounds'][-1]['version']}")


def test_a_version_that_a_person_rolled_back_is_not_pushed_forward_again(
    fake: FakeContext, castings: Path
):
    options = small(castings)
    run(fake.open(), options)
    assert roll_back(fake.open(), "casting-defects").number == "2"
    assert roll_back(fake.open(), "casting-defects").number == "1"
    with pytest.raises(VersionNotFound, match=r"version 1 .* is the first that was current"):
        roll_back(fake.open(), "casting-defects")
    run(fake.open(), options)
    assert fake.tracker.alias["casting-defects"] == "1"


def test_a_version_that_a_person_left_for_an_older_one_is_not_pushed_forward_again(
    fake: FakeContext, castings: Path
):
    run(fake.open(), small(castings))
    assert promote(fake.open(), "casting-defects", "2").number == "2"
    run(fake.open(), small(castings))
    assert fake.tracker.alias["casting-defects"] == "2"
    run(fake.open(), small(castings, rounds=4))
    assert fake.tracker.alias["casting-defects"] == "4"  # a new version is news


def test_a_version_that_became_current_meanwhile_is_not_displaced(
    fake: FakeContext, castings: Path, monkeypatch: pytest.MonkeyPatch
):
    other = run(fake.open(), small(castings, strategy="random", rounds=1))
    version = other["rounds"][0]["version"]
    del fake.tracker.alias["casting-defects"]
    monkeypatch.setattr(
        fake.tracker,
        "prove",
        lambda _: fake.tracker.alias.setdefault("casting-defects", version),
    )
    mine = run(fake.open(), small(castings, rounds=1))
    assert fake.tracker.alias["casting-defects"] == version
    assert mine["promote"].endswith(f"--version {mine['rounds'][0]['version']}")


def test_a_file_that_went_away_sits_out_one_ranking_only(fake: FakeContext, castings: Path):
    context = fake.open()
    run(context, small(castings, rounds=1))
    campaign = open_campaign(context, small(castings, rounds=2))
    gone = pool(campaign, read_state(context, campaign))[0]
    path = castings / gone.paths[0]
    content = path.read_bytes()
    path.unlink()
    ask_next(context, campaign, read_state(context, campaign))
    assert any("changed or went away" in line for line in fake.said)
    assert context.ledger.seen()[gone.id].unreadable is None
    path.write_bytes(content)
    assert run(context, small(castings, rounds=3))["state"] == "finished"


def test_a_label_outside_the_classes_names_a_path(fake: FakeContext, castings: Path):
    with pytest.raises(DataError, match=r"def \(def/\d+\.png\): no such class.*ok, scrap"):
        run(fake.open(), small(castings, classes="ok,scrap"))


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
    labels = context.ledger.labels()
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
    campaign = open_campaign(context, small(castings))
    bad = next(c.id for c in campaign.data.castings if campaign.sides[c.id] == "train")
    fake.scorer.refuse = {bad: "truncated"}
    result = run(context, small(castings))
    asked = {a.casting for a in context.ledger.asked(result["campaign"])}
    if bad not in asked:  # unless the initial draw, which asks nobody, had it
        assert context.ledger.seen()[bad].unreadable == "truncated"
        assert any("truncated" in line for line in fake.said)


def test_castings_without_a_label_are_awaited(fake: FakeContext, tmp_path: Path):
    data = write_castings(tmp_path / "pool", {"shots": 30}) / "shots"
    options = small(data, classes="ok,def", audit_share=0.0)
    result = run(fake.open(), options)
    assert result["state"] == "awaiting labels"
    assert result["awaiting"] == 10
    assert result["rounds"] == []


def test_labels_that_people_give_let_the_campaign_go_on(fake: FakeContext, tmp_path: Path):
    data = write_castings(tmp_path / "pool", {"shots": 30}) / "shots"
    options = small(data, classes="ok,def", audit_share=0.0, rounds=2)
    context = fake.open()
    name = run(context, options)["campaign"]
    asked = [a.casting for a in context.ledger.asked(name)]
    labels = zip(asked, ["ok", "def"] * 5, ["ann"] * 10, strict=True)
    context.ledger.record_labels(labels)
    result = run(context, options)
    assert [r["labels"] for r in result["rounds"]] == [10]
    assert result["awaiting"] == 5
    assert "test/accuracy" not in result["rounds"][0]["metrics"]  # nobody labelled the test side


def test_a_few_audited_castings_measure_nothing_yet_and_that_is_said(
    fake: FakeContext, tmp_path: Path
):
    data = write_castings(tmp_path / "pool", {"shots": 60}) / "shots"
    options = small(data, classes="ok,def", audit_share=0.4, rounds=1)
    context = fake.open()
    name = run(context, options)["campaign"]
    asked = [a.casting for a in context.ledger.asked(name)]
    context.ledger.record_labels(zip(asked, ["ok", "def"] * 5, ["ann"] * 10, strict=True))
    result = run(context, options)
    assert not any(key.startswith("test/") for key in result["rounds"][0]["metrics"])
    assert any("audited castings measure so far, test metrics need 20" in x for x in fake.said)


def test_a_pool_that_runs_dry_ends_the_campaign(fake: FakeContext, castings: Path):
    result = run(fake.open(), small(castings, rounds=9, batch=20, audit_share=0.0))
    assert result["state"] == "finished: no castings are left to ask for"
    assert result["rounds"][-1]["labels"] == 32  # all of the train side


def test_more_initial_labels_than_castings_is_an_error(fake: FakeContext, castings: Path):
    with pytest.raises(CampaignError, match="wants 90 castings to train on, only 32"):
        run(fake.open(), small(castings, initial=90, audit_share=0.0))


def test_steps_out_of_order_are_refused(fake: FakeContext, castings: Path):
    context = fake.open()
    options = small(castings, rounds=1)
    campaign = open_campaign(context, options)
    with pytest.raises(CampaignError, match="no model yet"):
        ask_next(context, campaign, read_state(context, campaign))
    with pytest.raises(CampaignError, match="asked for no castings"):
        train_round(context, campaign, read_state(context, campaign))
    run(context, options)
    ask_next(context, campaign, read_state(context, campaign))
    with pytest.raises(CampaignError, match="already asked for 5 castings"):
        ask_next(context, campaign, read_state(context, campaign))
    with pytest.raises(CampaignError, match=r"5 of 15 castings.*have no label"):
        train_round(context, campaign, read_state(context, campaign))


def test_six_classes_work_like_two(fake: FakeContext, tmp_path: Path):
    names = ["good", "blowhole", "break", "crack", "fray", "uneven"]
    data = tmp_path / "tiles"
    for number, name in enumerate(names):
        write_castings(data, {name: 8}, start=100 * number)
    result = run(fake.open(), small(data, rounds=2, initial=20))
    metrics = result["rounds"][0]["metrics"]
    assert {f"labels/share_{n}" for n in names} <= set(metrics)
    assert "test/escape_rate" in metrics


def test_a_class_with_too_few_parts_is_an_error_before_anything_is_recorded(
    fake: FakeContext, tmp_path: Path
):
    data = write_castings(tmp_path / "few", {"ok": 12, "def": 2})
    with pytest.raises(DataError, match="class def has 2 parts"):
        run(fake.open(), small(data))
    assert fake.ledger.campaigns() == []
    assert fake.tracker.runs == {}


def test_the_only_unfinished_campaign_is_the_default(fake: FakeContext, castings: Path):
    context = fake.open()
    with pytest.raises(CampaignError, match="0 unfinished campaigns"):
        recorded_options(context, "auto")
    done = run(context, small(castings, rounds=1, strategy="random"))
    run(context, small(castings, rounds=1))
    open_campaign(context, small(castings, rounds=2))
    assert recorded_options(context, "auto").name == "castings-bald-0"
    assert recorded_options(context, done["campaign"]).strategy == "random"
    with pytest.raises(CampaignError, match="no campaign nope in the ledger; there are: castings"):
        recorded_options(context, "nope")


def test_a_failure_leaves_no_run_running(fake: FakeContext, castings: Path):
    class Dead:
        def score(self, images: object, request: object) -> None:
            raise CampaignError("the service is gone")

    fake.scorer = Dead()  # type: ignore[assignment]
    with pytest.raises(CampaignError, match="the service is gone"):
        run(fake.open(), small(castings))
    assert {run.status for run in fake.tracker.runs.values()} == {"FAILED", "FINISHED"}


def test_a_failure_in_training_leaves_its_round_failed_until_it_is_trained_again(
    fake: FakeContext, castings: Path, monkeypatch: pytest.MonkeyPatch
):
    options = small(castings, rounds=1)
    with monkeypatch.context() as patch:
        patch.setattr(fake.tracker, "publish", _full)
        with pytest.raises(OutageError, match="no space"):
            run(fake.open(), options)
    assert {run.status for run in fake.tracker.runs.values()} == {"FAILED"}
    run(fake.open(), options)
    assert {run.status for run in fake.tracker.runs.values()} == {"FINISHED"}


def test_leaked_and_duplicate_castings_are_counted(fake: FakeContext, tmp_path: Path):
    rows = []
    for number in range(24):
        kind = ("ok", "def")[number % 2]
        name = f"{number}.png"
        (tmp_path / name).write_bytes(casting_bytes(kind, number))
        split = "test" if number >= 16 else "train"
        rows.append({"path": name, "label": kind, "part": f"p{number % 12}", "split": split})
    pd.DataFrame(rows).to_csv(tmp_path / "m.csv", index=False)
    result = run(fake.open(), small(tmp_path / "m.csv", rounds=1, initial=8))
    metrics = result["rounds"][0]["metrics"]
    assert metrics["data/leaked_test_castings"] == 8  # parts 4 to 11 stand on both sides
    assert metrics["data/duplicate_test_castings"] == 0


def _with_rare_defects(folder: Path) -> Path:
    """Sixty castings, and six that have a spot of white each where no other has one."""
    data = write_castings(folder / "rare", {"ok": 60})
    (data / "def").mkdir()
    for number in range(6):
        pixels = np.array(Image.open(data / "ok" / f"{number:03d}.png"))
        pixels[5 * number : 5 * number + 3, 10:13] = 255
        Image.fromarray(pixels).save(data / "def" / f"{number:03d}.png")
    return data


def _numbers(result: dict[str, object]) -> list[dict[str, float]]:
    rounds: list[dict[str, dict[str, float]]] = result["rounds"]  # type: ignore[assignment]
    return [
        {k: v for k, v in r["metrics"].items() if not k.startswith("seconds/")} for r in rounds
    ]


def _metric(result: dict[str, list[dict[str, dict[str, float]]]], number: int, key: str) -> float:
    return result["rounds"][number]["metrics"][key]


def _full(*_: object) -> None:
    raise OutageError("no space left on device")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("wrong", [{"initial": 500}, {"weights": "typo.safetensors"}])
def test_an_option_that_cannot_be_met_is_refused_before_it_is_recorded(
    fake: FakeContext, castings: Path, wrong: dict[str, object]
):
    with pytest.raises(CastingError, match=next(iter(wrong))):
        run(fake.open(), small(castings, rounds=1, **wrong))
    assert run(fake.open(), small(castings, rounds=1))["state"] == "finished"


def test_current_is_not_taken_from_a_campaign_of_the_same_name_in_another_ledger(
    fake: FakeContext, castings: Path, tmp_path: Path
):
    mine = run(fake.open(), small(castings, rounds=2))
    (tmp_path / "elsewhere").mkdir()
    elsewhere = FakeContext(tmp_path / "elsewhere", fake.tracker)
    theirs = run(elsewhere.open(), small(castings, rounds=1))
    elsewhere.ledger.close()
    assert theirs["campaign"] == mine["campaign"]
    assert fake.tracker.alias["casting-defects"] == mine["rounds"][-1]["version"]
    assert "promote" in theirs


def test_small_batches_take_turns_to_be_audited(fake: FakeContext, castings: Path):
    context = fake.open()
    run(context, small(castings, rounds=6, batch=1, initial=10, audit_share=0.4, steps=1))
    uses = [a.use for a in context.ledger.asked("castings-bald-0") if a.round > 0]
    assert uses.count("audit") == 2
    assert uses.count("train") == 3


@pytest.mark.parametrize("split_seed", [0, 1, 2])
def test_half_of_the_audit_calibrates_whatever_the_split(
    fake: FakeContext, castings: Path, split_seed: int
):
    campaign = open_campaign(
        fake.open(), small(castings, split_seed=split_seed, campaign=f"split-{split_seed}")
    )
    test = [c for c in campaign.data.castings if campaign.sides[c.id] == "test"]
    assert 0 < sum(map(_calibrates, test)) < len(test)


def test_the_only_campaign_is_meant_though_it_has_ended(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, rounds=1))
    assert recorded_options(fake.open(), "auto").name == "castings-bald-0"
    run(fake.open(), small(castings, rounds=1, strategy="random"))
    with pytest.raises(
        CampaignError, match=r"0 unfinished.*has: castings-bald-0, castings-random"
    ):
        recorded_options(fake.open(), "auto")
