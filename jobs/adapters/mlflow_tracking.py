"""Runs and model versions in MLflow, by `MlflowClient` with explicit run ids only.

Every call may be repeated after a crash: what is there already is found again.
"""

import json
import logging
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LifecycleStage,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.exceptions import MlflowException
from tenacity import Retrying, retry_if_exception_message, stop_after_attempt

from jobs.adapters import retry
from models.errors import first_line
from models.registry.mlflow_registry import MlflowRegistry

EXPERIMENT = "casting-defects"
_FORBIDDEN = re.compile(r"[^\w\-. :/]")  # in a metric's name
_MADE_UP = re.compile(r"[a-z]+-[a-z]+-\d{1,3}")  # MLflow's name for a run that was given none
_RUNNING, _FINISHED, _FAILED = "RUNNING", "FINISHED", "FAILED"
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500
_REFUSED = retry_if_exception_message(match=r"(?is).*unique constraint.*datasets")


def open_tracker(handed: str | None) -> "MlflowTracker":
    """The tracker on the server that MLFLOW_TRACKING_URI names."""
    # it logs the traceback of every failed attempt; the reason is told once, by `retrying`
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return MlflowTracker(MlflowClient(), handed)


def why_away(error: BaseException) -> str | None:
    """Why the tracking server, its database or its disk may be back soon; None for real errors."""
    if not isinstance(error, MlflowException):
        return retry.why_away(error)
    status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
    passing = status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR
    return retry.unless_lasting(first_line(error)) if passing else None


class MlflowTracker(MlflowRegistry):
    """Runs and registered models; `handed` is the run that `mlflow run` made for this process."""

    def __init__(self, client: MlflowClient, handed: str | None = None) -> None:
        super().__init__(client)
        self._handed = handed

    def open_campaign(
        self,
        name: str,
        recorded: str | None,
        params: Mapping[str, object],
        tags: Mapping[str, str],
    ) -> str:
        """The campaign's run, running; a run that was handed to a continuing call is closed."""
        kept = recorded if recorded and self.has_run(recorded) else None
        run_id = kept or self._made_before(tags["begun"])
        run_id = run_id or self._handed or self._create(name, tags)
        if self._handed not in (None, run_id):
            self._hand_back(str(self._handed), run_id)
        self._continue(run_id, params, tags)
        if run_id == self._handed:
            self._name(run_id, name)
        return run_id

    def has_run(self, run_id: str) -> bool:
        try:
            stage = self._client.get_run(run_id).info.lifecycle_stage
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        return bool(stage == LifecycleStage.ACTIVE)

    def open_round(
        self, parent: str, name: str, params: Mapping[str, object], tags: Mapping[str, str]
    ) -> str:
        experiment = self._client.get_run(parent).info.experiment_id
        where = f"tags.`mlflow.parentRunId` = '{parent}' and tags.`mlflow.runName` = '{name}'"
        named = self._client.search_runs([experiment], where)
        rounds = [run for run in named if "continues" not in run.data.tags]
        if not rounds:
            nested = {"mlflow.parentRunId": parent, "mlflow.runName": name}
            rounds = [self._client.create_run(experiment, tags=nested, run_name=name)]
        run_id = str(rounds[0].info.run_id)
        self._continue(run_id, params, tags)
        return run_id

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        at = int(time.time() * 1000)
        known = self._client.get_run(run_id).data.metrics
        allowed = {_FORBIDDEN.sub("_", key): float(value) for key, value in metrics.items()}
        points = [
            Metric(key, value, at, step)
            for key, value in allowed.items()
            if key not in known
            or all(p.step != step for p in self._client.get_metric_history(run_id, key))
        ]
        if points:
            self._client.log_batch(run_id, metrics=points)

    def log_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            self._client.log_artifacts(run_id, folder)

    def log_data_set(
        self, run_id: str, source: str, digest: str, counts: Mapping[str, int]
    ) -> None:
        profile = json.dumps(dict(counts))
        data = Dataset(Path(source).name, digest[:32], "local", source, profile=profile)
        context = InputTag("mlflow.data.context", "campaign")
        # of two jobs that note a new data set at once, MLflow refuses one; now it is there
        twice = Retrying(retry=_REFUSED, stop=stop_after_attempt(2), reraise=True)
        twice(self._client.log_inputs, run_id, [DatasetInput(data, [context])])

    def close_run(self, run_id: str, *, failed: bool = False) -> None:
        self._client.set_terminated(run_id, _FAILED if failed else _FINISHED)
        if failed:
            experiment = self._client.get_run(run_id).info.experiment_id
            where = f"tags.`mlflow.parentRunId` = '{run_id}' and attributes.status = '{_RUNNING}'"
            for nested in self._client.search_runs([experiment], where):
                self._client.set_terminated(nested.info.run_id, _FAILED)

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(self._experiment(), tags=dict(tags), run_name=name)
        return str(run.info.run_id)

    def _made_before(self, begun: str) -> str | None:
        """The run that a job made or took over just before it died, in whichever experiment."""
        experiments = [e.experiment_id for e in self._client.search_experiments()]
        where, order = f"tags.begun = '{begun}'", ["attributes.start_time ASC"]
        runs: Sequence[Run] = self._client.search_runs(experiments, where, order_by=order)
        return str(runs[0].info.run_id) if runs else None

    def _experiment(self, name: str = EXPERIMENT, number: int = 1) -> str:
        """The project's experiment; where that was deleted, the one numbered 2, and so on."""
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return self._experiment(name, number)  # another job was faster
        if experiment.lifecycle_stage == LifecycleStage.ACTIVE:
            return str(experiment.experiment_id)
        return self._experiment(f"{EXPERIMENT}-{number + 1}", number + 1)

    def _name(self, run_id: str, name: str) -> None:
        """Name a run, unless a person has."""
        if _MADE_UP.fullmatch(str(self._client.get_run(run_id).info.run_name)):
            self._client.update_run(run_id, name=name)

    def _hand_back(self, handed: str, parent: str) -> None:
        for key in ("continues", "mlflow.parentRunId"):
            self._client.set_tag(handed, key, parent)
        self._client.set_terminated(handed, _FINISHED)

    def _continue(
        self, run_id: str, params: Mapping[str, object], tags: Mapping[str, str]
    ) -> None:
        """Add tags and those parameters that the run does not have yet, and let it run."""
        known = self._client.get_run(run_id).data.params
        missing = [Param(k, str(v)) for k, v in params.items() if k not in known]
        described = [RunTag(k, str(v)) for k, v in tags.items()]
        self._client.log_batch(run_id, params=missing, tags=described)
        self._client.update_run(run_id, status=_RUNNING)
