"""What use cases rely on where somebody has deleted runs, on the fake and on MLflow alike."""

from mlflow import MlflowClient

from jobs.campaign.ports import Tracker
from tests.jobs.adapters.test_ports import TAGS, tracker  # noqa: F401 -- a fixture
from tests.jobs.fakes import FakeTracker


def delete(tracker: Tracker, run_id: str) -> None:  # noqa: F811
    """Delete a run as MLflow's own pages do."""
    if isinstance(tracker, FakeTracker):
        tracker.runs[run_id].deleted = True
    else:
        MlflowClient().delete_run(run_id)


def test_a_campaign_whose_run_was_deleted_gets_another_for_good(tracker: Tracker):  # noqa: F811
    run_id = tracker.open_campaign("a", None, {}, TAGS)
    assert tracker.has_run(run_id)
    delete(tracker, run_id)
    assert not tracker.has_run(run_id)
    assert not tracker.has_run("0" * 32)  # of another store
    other = tracker.open_campaign("a", run_id, {}, TAGS)
    assert other != run_id
    assert tracker.open_campaign("a", run_id, {}, TAGS) == other
    nested = tracker.open_round(other, "round-00", {}, TAGS)
    delete(tracker, nested)
    assert tracker.open_round(other, "round-00", {}, TAGS) not in {nested, other}
