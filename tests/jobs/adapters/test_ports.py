"""What use cases rely on, tried on the tests' fakes and on the real adapters alike."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest
import torch
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from jobs.adapters.mlflow_tracking import MlflowTracker
from jobs.adapters.scoring_client import ScoringClient
from jobs.campaign.ports import Request, ScoringService, Tracker
from models.embeddings import EmbeddingStore
from models.errors import ServiceError, VersionError, VersionNotFound
from models.images import Preprocessing, decode
from models.prediction.predictor import Predictor
from tests.jobs.fakes import FakeRun, FakeScoringService, FakeTracker
from tests.service.conftest import predictors, registry, serve  # noqa: F401 -- fixtures
from tests.service.fakes import photo, tiny_predictor

TAGS = {"campaign": "a", "strategy": "bald", "seed": "0", "begun": "2026-11-24T08:00:00.1"}
LABELS = {"labels": "40", "labels_sha256": "x"}
OTHER_LABELS = {"labels": "40", "labels_sha256": "y"}
GOLDEN_N = torch.randint(0, 255, (3, 1, 32, 32), dtype=torch.uint8)


@pytest.fixture(params=["fake", "MLflow"])
def tracker(request: pytest.FixtureRequest) -> Tracker:
    if request.param == "fake":
        return FakeTracker()
    return MlflowTracker(request.getfixturevalue("tracking_store"))


def run_of(tracker: Tracker, run_id: str) -> FakeRun:
    """All that is known of a run, whoever keeps it."""
    if isinstance(tracker, FakeTracker):
        return tracker.runs[run_id]
    client = MlflowClient()
    run = client.get_run(run_id)
    histories = {key: client.get_metric_history(run_id, key) for key in run.data.metrics}
    paths = [file.path for file in client.list_artifacts(run_id)]
    where = run.info.artifact_uri
    return FakeRun(
        params=run.data.params,
        tags={key: tag for key, tag in run.data.tags.items() if not key.startswith("mlflow.")},
        points=[(key, p.step, p.value) for key, history in histories.items() for p in history],
        files={path: Path(download_artifacts(f"{where}/{path}")).read_bytes() for path in paths},
        data={(i.dataset.name, i.dataset.digest): {} for i in run.inputs.dataset_inputs},
        status=run.info.status,
        parent=run.data.tags.get("mlflow.parentRunId"),
        name=run.info.run_name,
    )


def test_a_campaigns_run_has_its_name_options_and_tags_and_is_running(tracker: Tracker):
    run = run_of(tracker, tracker.open_campaign("a", None, {"batch": 20}, TAGS))
    assert (run.name, run.params, run.tags) == ("a", {"batch": "20"}, TAGS)
    assert (run.status, run.parent) == ("RUNNING", None)


def test_a_campaign_that_was_begun_gets_its_run_back(tracker: Tracker):
    run_id = tracker.open_campaign("a", None, {}, TAGS)
    tracker.close_run(run_id, failed=True)
    assert tracker.open_campaign("a", None, {}, TAGS) == run_id
    assert tracker.open_campaign("a", run_id, {}, TAGS) == run_id
    assert run_of(tracker, run_id).status == "RUNNING"
    assert tracker.open_campaign("a", None, {}, TAGS | {"begun": "another time"}) != run_id


def test_options_stay_as_they_were_first_logged(tracker: Tracker):
    run_id = tracker.open_campaign("a", None, {"threads": 2}, TAGS)
    tracker.open_campaign("a", run_id, {"threads": 8, "batch": 20}, TAGS | {"seed": "1"})
    run = run_of(tracker, run_id)
    assert run.params == {"threads": "2", "batch": "20"}
    assert run.tags["seed"] == "1"


def test_a_round_is_nested_once_below_its_campaign_and_runs_again_after_a_failure(
    tracker: Tracker,
):
    parent = tracker.open_campaign("a", None, {}, TAGS)
    run_id = tracker.open_round(parent, "round-00", {"batch": 20}, TAGS | {"round": "0"})
    tracker.close_run(run_id, failed=True)
    assert tracker.open_round(parent, "round-00", {"batch": 30}, TAGS | {"round": "0"}) == run_id
    run = run_of(tracker, run_id)
    assert (run.parent, run.name, run.status) == (parent, "round-00", "RUNNING")
    assert run.params == {"batch": "20"}
    other = tracker.open_campaign("b", None, {}, TAGS | {"begun": "later"})
    assert tracker.open_round(other, "round-00", {}, TAGS) != run_id


def test_what_runs_below_a_failed_campaign_fails_and_what_is_finished_stays(tracker: Tracker):
    parent = tracker.open_campaign("a", None, {}, TAGS)
    done = tracker.open_round(parent, "round-00", {}, TAGS)
    tracker.close_run(done)
    broken = tracker.open_round(parent, "round-01", {}, TAGS)
    tracker.close_run(parent)
    assert run_of(tracker, broken).status == "RUNNING"
    tracker.close_run(parent, failed=True)
    states = [run_of(tracker, run).status for run in (parent, done, broken)]
    assert states == ["FAILED", "FINISHED", "FAILED"]


def test_no_metric_point_is_logged_twice_and_the_first_value_stays(tracker: Tracker):
    run_id = tracker.open_campaign("a", None, {}, TAGS)
    tracker.log_metrics(run_id, {"test/accuracy": 0.5, "labels/share_a,b": 1.0}, 40)
    tracker.log_metrics(run_id, {"test/accuracy": 0.9, "test/nll": 1.0}, 40)
    tracker.log_metrics(run_id, {"test/accuracy": 0.7}, 60)
    run = run_of(tracker, run_id)
    assert run.metric("test/accuracy") == {40: 0.5, 60: 0.7}
    assert {key for key, _, _ in run.points} == {"test/accuracy", "labels/share_a_b", "test/nll"}
    assert len(run.points) == 4


def test_of_files_of_one_name_the_latest_counts(tracker: Tracker):
    run_id = tracker.open_campaign("a", None, {}, TAGS)
    tracker.log_files(run_id, {"acquired.csv": b"", "labels.csv": b"label\n"})
    tracker.log_files(run_id, {"acquired.csv": b"casting\n"})
    files = {"acquired.csv": b"casting\n", "labels.csv": b"label\n"}
    assert run_of(tracker, run_id).files == files


def test_a_data_set_is_noted_once_as_often_as_it_is_told(tracker: Tracker):
    run_id = tracker.open_campaign("a", None, {}, TAGS)
    for _ in range(2):
        tracker.log_data_set(run_id, "/data/castings", "d" * 64, {"train_castings": 7})
    assert list(run_of(tracker, run_id).data) == [("castings", "d" * 32)]


def test_a_run_publishes_one_version_of_the_same_labels(tracker: Tracker):
    parent = tracker.open_campaign("a", None, {}, TAGS)
    run_id = tracker.open_round(parent, "round-00", {}, TAGS)
    publish: Callable[..., object] = tracker.publish
    first = tracker.publish("m", tiny_predictor(), GOLDEN_N, run_id, TAGS | LABELS)
    assert (first.name, first.number, first.run_id) == ("m", "1", run_id)
    assert publish("m", tiny_predictor(), GOLDEN_N, run_id, TAGS | LABELS) == first
    second = tracker.publish("m", tiny_predictor(), GOLDEN_N, run_id, TAGS | OTHER_LABELS)
    assert second.number == "2"
    assert publish("m", tiny_predictor(), GOLDEN_N, run_id, TAGS | OTHER_LABELS) == second
    other = tracker.publish("n", tiny_predictor(), GOLDEN_N, run_id, TAGS | LABELS)
    assert other.number == "1"  # models are numbered each for itself


def test_promotion_remembers_the_version_before_and_a_step_back_keeps_the_chain(
    tracker: Tracker, tmp_path: Path
):
    parent = tracker.open_campaign("a", None, {}, TAGS)
    first, second = (
        tracker.publish("m", tiny_predictor(), GOLDEN_N, run_id, TAGS | LABELS)
        for run_id in (tracker.open_round(parent, f"round-0{n}", {}, TAGS) for n in range(2))
    )
    assert tracker.current("m") is None
    tracker.promote(first)
    tracker.promote(second)
    tracker.promote(second)  # once more changes nothing
    assert tracker.current("m") == tracker.find("m", "2")
    assert tracker.find("m", "1").tags["previous"] == "none"
    assert tracker.find("m", "2").tags["previous"] == "1"
    assert tracker.find("m", "2").tags["was_current"] == "true"
    assert "previous" not in second.tags  # it was handed out before
    tracker.mark_rolled_back(second)
    tracker.roll_back(first)
    assert tracker.current("m") == tracker.find("m", "1")
    assert tracker.find("m", "1").tags["previous"] == "none"
    assert tracker.find("m", "2").tags["rolled_back"] == "true"
    tracker.load(first)
    tracker.export(first, tmp_path / "a" / "version")
    with pytest.raises(VersionError, match="version exists"):
        tracker.export(first, tmp_path / "a" / "version")


def test_a_version_that_is_not_there_is_said_to_be_missing(tracker: Tracker, tmp_path: Path):
    run_id = tracker.open_campaign("a", None, {}, TAGS)
    first = tracker.publish("m", tiny_predictor(), GOLDEN_N, run_id, TAGS | LABELS)
    missing = type(first)("m", "9", run_id, {})
    with pytest.raises(VersionNotFound, match="m has no version 9"):
        tracker.find("m", "9")
    with pytest.raises(VersionNotFound):
        tracker.load(missing)
    with pytest.raises(VersionNotFound):
        tracker.export(missing, tmp_path / "version")
    assert not (tmp_path / "version").exists()
    assert tracker.current("nothing") is None


REQUEST = Request("2", "run-2", passes=4, seed=7, include=("posterior", "embedding"))
IMAGES = [("a", photo(1)), ("b", photo(2)), ("c", photo(3))]
BROKEN = ("broken", b"no image")


def _fake(folder: Path, predictors: dict[str, Predictor]) -> FakeScoringService:  # noqa: F811
    tracker = FakeTracker()
    for number, predictor in predictors.items():
        tracker.publish("casting-defects", predictor, GOLDEN_N, f"run-{number}", LABELS)
    return FakeScoringService(tracker, EmbeddingStore(folder))


def _real(request: pytest.FixtureRequest) -> ScoringClient:
    served = request.getfixturevalue("serve")()

    def post(request: httpx.Request) -> httpx.Response:
        answer = served.post(request.url.path, content=request.read(), headers=request.headers)
        return httpx.Response(answer.status_code, content=answer.content)

    return ScoringClient("http://service", transport=httpx.MockTransport(post))


@pytest.fixture(params=["fake", "service"])
def service(request: pytest.FixtureRequest, one_thread: None) -> ScoringService:
    if request.param == "fake":
        return _fake(request.getfixturevalue("tmp_path"), request.getfixturevalue("predictors"))
    return _real(request)


def test_the_fake_answers_what_the_service_answers(
    request: pytest.FixtureRequest, one_thread: None
):
    images = [IMAGES[0], BROKEN, *IMAGES[1:]]
    folder, served = (request.getfixturevalue(name) for name in ("tmp_path", "predictors"))
    fake = _fake(folder, served).score(images, REQUEST)
    real = _real(request).score(images, REQUEST)
    assert fake.refused == real.refused
    assert len(fake.answers) == len(real.answers) == 3
    for ours, theirs in zip(fake.answers, real.answers, strict=True):
        assert ours.keys() <= theirs.keys()
        assert {key: pytest.approx(ours[key], abs=1e-5) for key in ours} == {
            key: theirs[key] for key in ours
        }
    for name, tensor in fake.tensors.items():
        torch.testing.assert_close(tensor, real.tensors[name], atol=1e-4, rtol=1e-4)


def test_only_the_tensors_that_were_asked_for_come(service: ScoringService):
    both = service.score(IMAGES, REQUEST)
    assert {name: tuple(tensor.shape) for name, tensor in both.tensors.items()} == {
        "posterior": (3, 4, 2),
        "embedding": (3, 1344),
    }
    assert service.score(IMAGES, Request("2", "run-2", 4, 7)).tensors == {}


def test_castings_that_were_scored_are_known_by_id_and_others_are_refused(service: ScoringService):
    scored = service.score(IMAGES[:2], REQUEST)
    first, second = (answer["casting"] for answer in scored.answers)
    known = service.score_known([second, "0" * 64, first], REQUEST)
    assert [answer["casting"] for answer in known.answers] == [second, first]
    assert set(known.refused) == {1}
    for name, tensor in known.tensors.items():
        torch.testing.assert_close(tensor, scored.tensors[name].flip(0), atol=1e-6, rtol=0)
    none = service.score_known(["1" * 64], REQUEST)
    assert (none.answers, set(none.refused)) == ([], {0})


def test_castings_that_cannot_be_read_are_refused_by_position(service: ScoringService):
    some = service.score([BROKEN, IMAGES[0], BROKEN], REQUEST)
    assert (set(some.refused), len(some.answers)) == ({0, 2}, 1)
    assert asdict(service.score([BROKEN], REQUEST)) == {
        "answers": [],
        "tensors": {},
        "refused": {0: some.refused[0]},
    }
    assert service.score([], REQUEST).refused == {}


@pytest.mark.parametrize(("version", "run_id"), [("9", "run-9"), ("2", "another registry's")])
def test_a_version_that_is_not_served_is_an_error(
    service: ScoringService, version: str, run_id: str
):
    with pytest.raises(ServiceError):
        service.score(IMAGES, Request(version, run_id, passes=4, seed=7))


def test_a_casting_is_explained_by_a_picture(service: ScoringService):
    picture = service.explain(IMAGES[0], "2")
    assert decode(picture, Preprocessing(size=32, channels=3)).shape == (3, 32, 32)
    with pytest.raises(ServiceError):
        service.explain(IMAGES[0], "9")
    with pytest.raises(ServiceError):
        service.explain(BROKEN, "2")
