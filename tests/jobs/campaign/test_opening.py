"""Beginning and continuing campaigns."""

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.campaign.answers import standing
from jobs.campaign.opening import look_up, open_campaign
from jobs.campaign.ports import CampaignRow
from jobs.campaign.run import run
from models.errors import CampaignError, CastingError, DataError
from tests.jobs.campaigns import small
from tests.jobs.fakes import FakeContext, write_castings


def _numbers(result: dict[str, object]) -> list[dict[str, float]]:
    rounds: list[dict[str, dict[str, float]]] = result["rounds"]  # type: ignore[assignment]
    return [
        {k: v for k, v in r["metrics"].items() if not k.startswith("seconds/")} for r in rounds
    ]


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_other_options_under_the_same_name_are_refused(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, rounds=1))
    with pytest.raises(CampaignError, match="--batch is 6, it was begun with 5"):
        run(fake.open(), small(castings, batch=6))


def test_more_initial_labels_than_castings_is_an_error(fake: FakeContext, castings: Path):
    with pytest.raises(CampaignError, match="wants 90 castings to train on, only 32"):
        run(fake.open(), small(castings, initial=90, audit_share=0.0))


def test_a_class_with_too_few_parts_is_an_error_before_anything_is_recorded(
    fake: FakeContext, tmp_path: Path
):
    data = write_castings(tmp_path / "few", {"ok": 12, "def": 2})
    with pytest.raises(DataError, match="class def has 2 parts"):
        run(fake.open(), small(data))
    assert fake.ledger.campaigns() == []
    assert fake.tracker.runs == {}


def test_a_failure_leaves_no_run_running(fake: FakeContext, castings: Path):
    class Dead:
        def score(self, images: object, request: object) -> None:
            raise CampaignError("the service is gone")

        score_known = score

    fake.scorer = Dead()  # type: ignore[assignment]
    with pytest.raises(CampaignError, match="the service is gone"):
        run(fake.open(), small(castings))
    assert {run.status for run in fake.tracker.runs.values()} == {"FAILED", "FINISHED"}


@pytest.mark.parametrize("wrong", [{"initial": 500}, {"weights": "typo.safetensors"}])
def test_an_option_that_cannot_be_met_is_refused_before_it_is_recorded(
    fake: FakeContext, castings: Path, wrong: dict[str, object]
):
    with pytest.raises(CastingError, match=next(iter(wrong))):
        run(fake.open(), small(castings, rounds=1, **wrong))
    assert run(fake.open(), small(castings, rounds=1))["state"] == "finished"


def test_a_campaign_is_lengthened_by_more_rounds(fake: FakeContext, castings: Path):
    run(fake.open(), small(castings, rounds=2))
    result = run(fake.open(), small(castings, rounds=3))
    whole = FakeContext(_folder(fake.folder / "other"))
    undisturbed = run(whole.open(), small(castings, rounds=3))
    assert _numbers(result) == _numbers(undisturbed)
    whole.ledger.close()


def _pool(folder: Path) -> Path:
    return write_castings(folder / "pool", {"shots": 24}) / "shots"


def _label_all(fake: FakeContext, name: str, labels: tuple[str, str]) -> None:
    """People label what a campaign asked for, by turns this and that."""
    row = fake.ledger.campaign(name)
    assert row is not None
    asked = [asked.casting for asked in fake.ledger.asked(name)]
    said = [(casting, labels[i % 2], "ann") for i, casting in enumerate(asked)]
    fake.ledger.record_labels(row.label_set, said)


def test_two_questions_about_the_same_pictures_have_labels_of_their_own(
    fake: FakeContext, tmp_path: Path
):
    data, context = _pool(tmp_path), fake.open()
    first = small(data, classes="ok,def", audit_share=0.0, rounds=1, campaign="whole")
    second = replace(first, classes="porous,tight", good="tight", campaign="porosity")
    assert run(context, first)["awaiting"] == 10
    _label_all(fake, "whole", ("ok", "def"))
    assert run(context, second)["awaiting"] == 10  # the same castings, nobody has said
    _label_all(fake, "porosity", ("porous", "tight"))
    for options, labels in ((first, {"ok", "def"}), (second, {"porous", "tight"})):
        state = open_campaign(context, options).state
        assert set(state.labels.values()) == labels
        assert len(state.labels) == 10


def test_campaigns_that_ask_the_same_of_a_data_set_share_its_labels(
    fake: FakeContext, tmp_path: Path
):
    data, context = _pool(tmp_path), fake.open()
    first = small(data, classes="ok,def", audit_share=0.0)
    label_set = open_campaign(context, first).campaign.label_set
    assert label_set == f"{data}: def, ok"
    assert look_up(context, replace(first, classes="def, ok", seed=1)).label_set == label_set
    open_campaign(context, replace(first, classes="ok,def,crack"))  # the same campaign, grown
    same = look_up(context, replace(first, classes="crack,ok,def", seed=1))
    assert same.label_set == label_set
    narrow = look_up(context, replace(first, seed=1))  # cracks in the labels would be no class
    assert narrow.label_set == f"{data}: def, ok (shots-bald-1)"


def test_labels_from_before_there_were_label_sets_are_those_of_the_same_question(
    fake: FakeContext, castings: Path
):
    context, options = fake.open(), small(castings)
    old = CampaignRow("old", options.identity(), 3, 1)
    fake.ledger.begin(old)
    assert look_up(context, options).label_set == ""
    assert look_up(context, replace(options, classes="ok,def")).label_set != ""
    assert look_up(context, replace(options, campaign="old")).label_set == ""


def test_a_class_that_is_found_on_the_way_is_added_and_learnt(fake: FakeContext, tmp_path: Path):
    data, context = _pool(tmp_path), fake.open()
    options = small(data, classes="ok,def", audit_share=0.0, rounds=2, pictures=False)
    run(context, options)
    _label_all(fake, "shots-bald-0", ("ok", "def"))
    assert run(context, options)["awaiting"] == 5
    grown = replace(options, classes="ok,def,crack")
    assert run(context, grown)["awaiting"] == 5
    assert "campaign shots-bald-0 has the classes ok,def,crack from now on" in fake.said
    _label_all(fake, "shots-bald-0", ("crack", "ok"))
    result = run(context, grown)
    assert result["state"] == "finished"
    assert [p.classes for _, p in fake.tracker.versions] == [("ok", "def"), ("ok", "def", "crack")]
    assert result["rounds"][1]["metrics"]["labels/share_crack"] == 8 / 15
    with pytest.raises(CampaignError, match=r"--classes is ok,def, .* and classes may grow only"):
        run(context, options)
    counts = standing(fake.ledger.labels(f"{data}: def, ok")).values()
    assert {word.label for word in counts} == {"ok", "crack"}


def test_a_class_that_hides_the_good_one_is_refused(fake: FakeContext, tmp_path: Path):
    options = small(_pool(tmp_path), classes="ok,def", audit_share=0.0)
    open_campaign(fake.open(), options)
    with pytest.raises(CampaignError, match=r"ok is the good class .* call the new class"):
        open_campaign(fake.open(), replace(options, classes="ok,def,ok_rework"))
    assert fake.ledger.campaigns()[0].options["classes"] == "ok,def"
