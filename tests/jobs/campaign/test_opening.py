"""Beginning and continuing campaigns."""

from pathlib import Path

import pytest

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
