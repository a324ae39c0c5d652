"""Real processes, really killed: the same command again ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
import torch
from mlflow import MlflowClient

from jobs.adapters import ledger_tables
from jobs.adapters.scoring_client import ScoringClient
from jobs.campaign.ports import Request
from jobs.processes import child_process
from jobs.processes.local_service import local_service
from models.registry import mlflow_registry
from tests.jobs.fakes import casting_bytes, write_castings
from tests.processes import eventually, runs
from tests.service.fakes import tiny_predictor

ROOT = Path(__file__).resolve().parent.parent
OWN_SERVICE_ENDS = child_process.GRACE + 10  # seconds after its job was killed


def _start(data: Path, ledger: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "jobs", "run", "--data", str(data), "--rounds", "3"]
    command += ["--batch", "6", "--initial", "10", "--steps", "3", "--image-size", "32"]
    environment = os.environ | {
        "CASTING_LEDGER": f"sqlite:///{ledger}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _finish(job: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = job.communicate(timeout=300)
    assert job.returncode == 0, err[-3000:]
    result: dict[str, Any] = json.loads(out)
    return result


def _kill_at(job: subprocess.Popen[str], line: str, wait: float) -> None:
    """Kill the job some time after it said something, and see its service end."""
    assert job.stderr is not None
    said = []
    for heard in job.stderr:
        said.append(heard)
        if line in heard:
            break
    else:
        pytest.fail(f"it never said {line!r}: {''.join(said)[-2000:]}")
    time.sleep(wait)
    started = _below(job.pid)
    job.kill()
    job.communicate()
    assert eventually(lambda: not any(map(runs, started)), OWN_SERVICE_ENDS)


def _below(pid: int) -> list[int]:
    """Processes that a process has started, theirs too."""
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


def _holder() -> int:
    """The process that holds the service of this one, and ends it."""
    living = [p for p in psutil.Process().children() if runs(p.pid)]
    (holder,) = [p.pid for p in living if "jobs.processes.child_process" in p.cmdline()]
    return holder


def _left_behind(ledger: Path, client: MlflowClient, result: dict[str, Any]) -> dict[str, Any]:
    """Ledger rows without times and run ids; metrics but for seconds, by run name and step."""
    rows = {}
    with sa.create_engine(f"sqlite:///{ledger}").connect() as connection:
        for table in ledger_tables.META.sorted_tables:
            columns = [c for c in table.columns if c.name not in {"at", "run_id", "metrics"}]
            rows[table.name] = connection.execute(sa.select(*columns)).all()
    points = {}
    for run_id in [result["mlflow_run"], *(r["run_id"] for r in result["rounds"])]:
        run = client.get_run(run_id)
        histories = {k: client.get_metric_history(run_id, k) for k in run.data.metrics}
        assert all(len(h) == len({p.step for p in h}) for h in histories.values())
        points[run.info.run_name, run.info.status] = {
            key: [(p.step, p.value) for p in history]
            for key, history in histories.items()
            if not key.startswith("seconds/")
        }
    (experiment,) = [e for e in client.search_experiments() if e.name == "casting-defects"]
    states = [run.info.status for run in client.search_runs([experiment.experiment_id])]
    return {"rows": rows, "points": points, "states": sorted(states)}


@pytest.mark.slow
def test_a_job_killed_in_training_at_the_services_start_and_in_ranking_ends_as_if_undisturbed(
    tracking_store: MlflowClient, tmp_path: Path, migrated_store: Path, monkeypatch: Any
):
    data = write_castings(tmp_path / "castings", {"ok": 60, "def": 60})
    result = _finish(_start(data, tmp_path / "undisturbed.db"))
    expected = _left_behind(tmp_path / "undisturbed.db", tracking_store, result)

    other = tmp_path / "other.db"
    other.write_bytes(migrated_store.read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    ledger = tmp_path / "killed.db"
    _kill_at(_start(data, ledger), "round-00: 10 labels", 0.1)
    _kill_at(_start(data, ledger), "starting a scoring service", 0.5)
    _kill_at(_start(data, ledger), "round-01: 16 labels", 0.0)
    _kill_at(_start(data, ledger), "round-02: 22 labels", 0.6)
    again = _finish(_start(data, ledger))
    assert _left_behind(ledger, MlflowClient(f"sqlite:///{other}"), again) == expected
    assert expected["states"] == ["FINISHED"] * 4


@pytest.mark.slow
def test_a_service_killed_with_its_workers_in_mid_ranking_is_started_again(
    tracking_store: MlflowClient,
):
    run_id = tracking_store.create_run("0").info.run_id
    golden_N = torch.randint(0, 255, (3, 1, 32, 32), dtype=torch.uint8)
    labels = {"labels": "1"}
    name = "casting-defects"
    version = mlflow_registry.publish(
        tracking_store, name, tiny_predictor(), golden_N, run_id, labels
    )
    mlflow_registry.point(tracking_store, version)
    images = [(str(i), casting_bytes("ok", i)) for i in range(4)]
    request = Request(version.number, run_id, passes=4, seed=0, include=("posterior",))
    with local_service(name, os.environ) as service:
        client = ScoringClient(service.url, revive=service.revive)
        before = client.score(images, request)
        killed = _below(_holder())
        assert len(killed) > 1  # bentoml serve and its worker, in sessions of their own
        os.kill(killed[0], signal.SIGKILL)
        assert eventually(lambda: not any(map(runs, killed)), OWN_SERVICE_ENDS)
        after = client.score(images, request)
        client.close()
        living = [_holder(), *_below(_holder())]
    assert not any(map(runs, living))
    assert after.answers == before.answers
    assert after.tensors["posterior"].equal(before.tensors["posterior"])
