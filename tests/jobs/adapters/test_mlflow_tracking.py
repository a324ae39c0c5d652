"""The tracker on a real MLflow store."""

import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import Param
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE

from jobs.adapters.mlflow_tracking import EXPERIMENT, MlflowTracker, why_away
from models.errors import VersionNotFound
from models.evaluation.operating_point import OperatingPoint
from models.images import Preprocessing
from models.network.spec import NetworkSpec
from models.network.weights import build
from models.prediction.predictor import Predictor

TAGS = {"campaign": "a", "strategy": "bald", "seed": "0", "begun": "2026-11-24T08:00:00.1"}
LABELS = {"labels": "40", "labels_sha256": "x"}


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


def test_a_round_is_nested_once(tracker: MlflowTracker, tracking_store: MlflowClient):
    parent = tracker.open_campaign("a", None, {}, TAGS)
    run_id = tracker.open_round(parent, "round-00", {"batch": 20}, TAGS | {"round": "0"})
    assert tracker.open_round(parent, "round-00", {"batch": 20}, TAGS | {"round": "0"}) == run_id
    run = tracking_store.get_run(run_id)
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.info.run_name == "round-00"


def test_a_campaign_that_fails_leaves_no_round_running(
    tracker: MlflowTracker, tracking_store: MlflowClient
):
    parent = tracker.open_campaign("a", None, {}, TAGS)
    done = tracker.open_round(parent, "round-00", {}, TAGS)
    tracker.close_run(done)
    broken = tracker.open_round(parent, "round-01", {}, TAGS)
    tracker.close_run(parent, failed=True)
    states = [tracking_store.get_run(run).info.status for run in (parent, done, broken)]
    assert states == ["FAILED", "FINISHED", "FAILED"]


def test_no_metric_point_is_logged_twice(tracker: MlflowTracker, tracking_store: MlflowClient):
    run_id = tracker.open_campaign("a", None, {}, TAGS)
    tracker.log_metrics(run_id, {"test/accuracy": 0.5, "labels/share_a,b": 1.0}, 40)
    tracker.log_metrics(run_id, {"test/accuracy": 0.9, "test/nll": 1.0}, 40)
    tracker.log_metrics(run_id, {"test/accuracy": 0.7}, 60)
    history = tracking_store.get_metric_history(run_id, "test/accuracy")
    assert [(p.step, p.value) for p in history] == [(40, 0.5), (60, 0.7)]
    metrics = tracking_store.get_run(run_id).data.metrics
    assert set(metrics) == {"test/accuracy", "labels/share_a_b", "test/nll"}


def test_files_become_artifacts(tracker: MlflowTracker, tracking_store: MlflowClient):
    run_id = tracker.open_campaign("a", None, {}, TAGS)
    tracker.log_files(run_id, {"acquired.csv": b"casting\n"})
    assert [f.path for f in tracking_store.list_artifacts(run_id)] == ["acquired.csv"]


def test_the_data_set_is_an_input_of_the_run(tracker: MlflowTracker, tracking_store: MlflowClient):
    run_id = tracker.open_campaign("a", None, {}, TAGS)
    for _ in range(2):
        tracker.log_data_set(run_id, "/data/castings", "d" * 64, {"train_castings": 7})
    (found,) = tracking_store.get_run(run_id).inputs.dataset_inputs
    assert found.dataset.name == "castings"
    assert found.dataset.profile == '{"train_castings": 7}'


def test_a_run_publishes_one_version_and_promotion_remembers_the_one_before(
    tracker: MlflowTracker, tracking_store: MlflowClient
):
    parent = tracker.open_campaign("a", None, {}, TAGS)
    network = build(NetworkSpec("resnet18", 1, 2), "scratch", torch.Generator().manual_seed(0))
    predictor = Predictor(network.eval(), Preprocessing(32), ("def", "ok"), OperatingPoint("ok"))
    pixels_N = torch.randint(0, 255, (3, 1, 32, 32), dtype=torch.uint8)
    versions = []
    for number in range(2):
        run_id = tracker.open_round(parent, f"round-{number:02d}", {}, TAGS)
        version = tracker.publish("m", predictor, pixels_N, run_id, TAGS | LABELS)
        assert tracker.publish("m", predictor, pixels_N, run_id, TAGS | LABELS) == version
        tracker.promote(version)
        versions.append(version.number)
    assert versions == ["1", "2"]
    current = tracker.current("m")
    assert current is not None
    assert current.number == "2"
    assert current.tags["previous"] == "1"
    assert tracker.find("m", "1").tags["previous"] == "none"
    assert tracker.current("nothing") is None
    with pytest.raises(VersionNotFound, match="m has no version 9"):
        tracker.find("m", "9")


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
