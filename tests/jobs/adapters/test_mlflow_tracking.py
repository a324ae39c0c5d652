"""What only the tracker on a real MLflow store does; the rest is in `test_ports`."""

from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Param
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE

from jobs.adapters.mlflow_tracking import EXPERIMENT, MlflowTracker, why_away

TAGS = {"campaign": "a", "strategy": "bald", "seed": "0", "begun": "2026-11-24T08:00:00.1"}


@pytest.fixture
def tracker(tracking_store: MlflowClient) -> MlflowTracker:
    return MlflowTracker(tracking_store)


def test_a_campaign_of_its_own_lives_in_the_projects_experiment(
    tracker: MlflowTracker, tracking_store: MlflowClient
):
    run_id = tracker.open_campaign("a", None, {"batch": 20}, TAGS)
    run = tracking_store.get_run(run_id)
    experiment = tracking_store.get_experiment(run.info.experiment_id)
    assert experiment.name == EXPERIMENT
    assert run.data.params == {"batch": "20"}
    assert run.data.tags["campaign"] == "a"
    assert run.info.status == "RUNNING"


def test_a_job_that_died_before_its_ledger_knew_the_run_gets_it_back(
    tracker: MlflowTracker, tracking_store: MlflowClient
):
    first = tracker.open_campaign("a", None, {}, TAGS)
    assert tracker.open_campaign("a", None, {}, TAGS) == first
    handed = tracking_store.create_run("0").info.run_id
    assert MlflowTracker(tracking_store, handed).open_campaign("a", None, {}, TAGS) == first
    assert tracking_store.get_run(handed).data.tags["continues"] == first


def test_a_campaign_of_that_name_in_another_ledger_keeps_its_run(tracker: MlflowTracker):
    first = tracker.open_campaign("a", None, {}, TAGS)
    assert tracker.open_campaign("a", None, {}, TAGS | {"begun": "another time"}) != first


def test_a_run_handed_over_becomes_the_campaigns_and_keeps_its_parameters(
    tracking_store: MlflowClient,
):
    handed = tracking_store.create_run("0").info.run_id
    tracking_store.log_batch(handed, params=[Param("data", "'synthetic'")])
    tracker = MlflowTracker(tracking_store, handed)
    assert tracker.open_campaign("a", None, {"data": "synthetic", "batch": 20}, TAGS) == handed
    params = tracking_store.get_run(handed).data.params
    assert params == {"data": "'synthetic'", "batch": "20"}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "castings-bald-0"),
        ("for Friday's review", "for Friday's review"),
        ("line-two-2026", "line-two-2026"),
    ],
)
def test_a_run_handed_over_is_shown_by_the_campaigns_name_unless_a_person_named_it(
    tracking_store: MlflowClient, given: str | None, shown: str
):
    handed = tracking_store.create_run("0", run_name=given).info.run_id
    MlflowTracker(tracking_store, handed).open_campaign("castings-bald-0", None, {}, TAGS)
    assert tracking_store.get_run(handed).info.run_name == shown


def test_a_campaign_continued_by_another_run_goes_on_in_its_own(tracking_store: MlflowClient):
    parent = MlflowTracker(tracking_store).open_campaign("a", None, {}, TAGS)
    handed = tracking_store.create_run("0").info.run_id
    assert MlflowTracker(tracking_store, handed).open_campaign("a", parent, {}, TAGS) == parent
    run = tracking_store.get_run(handed)
    assert run.data.tags["continues"] == parent
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.info.status == "FINISHED"


def test_the_counts_of_a_data_set_are_its_profile(
    tracker: MlflowTracker, tracking_store: MlflowClient
):
    run_id = tracker.open_campaign("a", None, {}, TAGS)
    tracker.log_data_set(run_id, "/data/castings", "d" * 64, {"train_castings": 7})
    (noted,) = tracking_store.get_run(run_id).inputs.dataset_inputs
    assert noted.dataset.profile == '{"train_castings": 7}'


@pytest.mark.parametrize(
    "database",
    [
        "(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id, datasets.name",
        '(psycopg.errors.UniqueViolation) duplicate key violates unique constraint "datasets_pk"',
    ],
)
def test_a_data_set_that_another_job_notes_at_the_same_moment_is_noted_all_the_same(
    tracker: MlflowTracker,
    tracking_store: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
    database: str,
):
    run_id, log, refusals = (
        tracker.open_campaign("a", None, {}, TAGS),
        MlflowClient.log_inputs,
        [1],
    )

    def log_inputs(*given: Any) -> None:
        if refusals:
            refusals.pop()
            raise MlflowException(database)
        log(*given)

    monkeypatch.setattr(MlflowClient, "log_inputs", log_inputs)
    tracker.log_data_set(run_id, "/data/castings", "d" * 64, {"train_castings": 7})
    assert len(tracking_store.get_run(run_id).inputs.dataset_inputs) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MlflowException("API request failed\nmore"), "API request failed"),
        (MlflowException("locked", TEMPORARILY_UNAVAILABLE), "locked"),
        (MlflowException("no such run", RESOURCE_DOES_NOT_EXIST), None),
        (MlflowException("Detected out-of-date database schema (found version 1)"), None),
        (ConnectionRefusedError("refused"), "refused"),
        (RuntimeError("a mistake"), None),
    ],
)
def test_outages_of_the_tracking_server_are_told_from_errors(error: Exception, reason: str | None):
    assert why_away(error) == reason


def test_an_experiment_that_was_deleted_is_left_alone_and_another_begun(
    tracker: MlflowTracker, tracking_store: MlflowClient
):
    first = tracker.open_campaign("a", None, {}, TAGS)
    tracking_store.delete_experiment(tracking_store.get_run(first).info.experiment_id)
    second = tracker.open_campaign("a", first, {}, TAGS)
    assert second != first
    experiment = tracking_store.get_run(second).info.experiment_id
    assert tracking_store.get_experiment(experiment).name == f"{EXPERIMENT}-2"
    assert tracker.open_campaign("a", first, {}, TAGS) == second
