"""The whole loop as its users start it: real MLflow, real service, real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.jobs.fakes import write_castings

ROOT = Path(__file__).resolve().parent.parent
SMALL = {"rounds": 2, "batch": 6, "initial": 10, "steps": 3, "image_size": 32, "passes": 8}


def _environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {
        "PATH": path,
        "CASTING_LEDGER": f"sqlite:///{folder / 'ledger.db'}",
        "PYTHONWARNINGS": "default",
    }


def _bentoml_processes(folder: Path) -> list[str]:
    """Command lines of services that this folder's jobs started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"bentoml" in command and str(folder).encode() in environment:
            found.append(command.decode(errors="replace"))
    return found


@pytest.mark.slow
def test_mlflow_run_trains_serves_ranks_and_leaves_no_process(
    tracking_store: MlflowClient, tmp_path: Path
):
    data = write_castings(tmp_path / "castings", {"ok": 24, "def": 24})
    parameters = {"strategy": "bald", "data": str(data), **SMALL}
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "--env-manager", "local"]
    command += ["--experiment-name", "casting-defects"]
    for name, value in parameters.items():
        command += ["-P", f"{name}={value}"]
    done = subprocess.run(
        command,
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "no maps" not in done.stderr  # the contact sheet's, of the service
    result = json.loads(done.stdout[done.stdout.index("{") :])
    assert result["state"] == "finished"
    assert [r["labels"] for r in result["rounds"]] == [10, 16]
    assert _bentoml_processes(tmp_path) == []

    parent = tracking_store.get_run(result["mlflow_run"])
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["campaign"] == "castings-bald-0"
    experiment = tracking_store.get_experiment(parent.info.experiment_id)
    assert experiment.name == "casting-defects"
    history = tracking_store.get_metric_history(parent.info.run_id, "test/accuracy")
    assert [point.step for point in history] == [10, 16]
    where = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    nested = tracking_store.search_runs([parent.info.experiment_id], where)
    assert sorted(run.info.run_name for run in nested) == ["round-00", "round-01"]
    first = next(run for run in nested if run.info.run_name == "round-00")
    artifacts = {a.path for a in tracking_store.list_artifacts(first.info.run_id)}
    assert {"acquired.csv", "contact_sheet.png", "labels.csv"} <= artifacts
    current = tracking_store.get_model_version_by_alias("casting-defects", "current")
    assert str(current.version) == result["rounds"][-1]["version"]
    assert current.tags["labels"] == "16"
