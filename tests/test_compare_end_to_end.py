"""Comparisons as their users start them: real processes, one service, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from jobs.adapters.ledger import Ledger
from tests.jobs.fakes import write_castings

ROOT = Path(__file__).resolve().parent.parent
SMALL = {"rounds": 2, "batch": 4, "initial": 8, "steps": 2, "image_size": 32, "passes": 4}


def _parameters(data: Path) -> dict[str, object]:
    return {"strategies": "random,bald", "seeds": "0", "data": str(data), **SMALL}


def _by_hand(data: Path) -> list[str]:
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in _parameters(data).items()]
    return [sys.executable, "-m", "jobs", "compare", *flags]


def _by_mlflow(data: Path) -> list[str]:
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "compare"]
    command += ["--env-manager", "local", "--experiment-name", "casting-defects"]
    return command + [f"-P{name}={value}" for name, value in _parameters(data).items()]


def _environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ledger = f"sqlite:///{folder / 'ledger.db'}"
    mine = {"PATH": path, "PYTHONPATH": str(ROOT), "CASTING_LEDGER": ledger}
    return os.environ | mine | {"OMP_NUM_THREADS": "1"}


def _ours(folder: Path) -> dict[int, str]:
    """Processes that belong to this folder's comparison, by id."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder).encode() in environment and ("jobs" in command or "bentoml" in command):
            found[int(entry.name)] = command
    return found


def _wait_for(what: object, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():  # type: ignore[operator]
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def _rounds(folder: Path) -> int:
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    done = sum(len(ledger.rounds(row.name)) for row in ledger.campaigns())
    ledger.close()
    return done


@pytest.mark.slow
def test_a_comparison_is_killed_and_taken_up_again(tracking_store: MlflowClient, tmp_path: Path):
    data = write_castings(tmp_path / "castings", {"ok": 16, "def": 16})
    environment = _environment(tmp_path)
    with subprocess.Popen(
        _by_hand(data), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as begun:
        _wait_for(lambda: _rounds(tmp_path) >= 1, 120)
        begun.send_signal(signal.SIGKILL)
        begun.wait(timeout=30)
    _wait_for(lambda: not _ours(tmp_path), 90)  # workers and service end with their owner

    done = subprocess.run(
        _by_mlflow(data), env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert _ours(tmp_path) == {}
    result = json.loads(done.stdout[done.stdout.index("{") :])
    assert result["claim"] == "not enough seeds to claim: 1 of 10"
    assert result["labels"] == [8, 12]

    run = tracking_store.get_run(result["mlflow_run"])
    assert run.info.status == "FINISHED"
    where = "tags.comparison = 'compare-castings'"
    compared = tracking_store.search_runs([run.info.experiment_id], where)
    assert [r.info.run_id for r in compared] == [run.info.run_id]  # taken up, not made again
    found = Path(download_artifacts(run_id=run.info.run_id, dst_path=str(tmp_path / "found")))
    assert {p.name for p in found.iterdir()} == {
        "comparison.json", "comparison.md", "comparison.csv", "rounds.csv", "comparison.png",
    }  # fmt: skip
    rounds = pd.read_csv(found / "rounds.csv")
    assert sorted(zip(rounds["strategy"], rounds["round"], strict=True)) == [
        ("bald", 0), ("bald", 1), ("random", 0), ("random", 1),
    ]  # fmt: skip
    first = rounds[rounds["round"] == 0]
    assert len(set(first["test/nll"])) == 1  # the same labels, the same weights
    names = {model.name for model in tracking_store.search_registered_models()}
    assert names == {"casting-comparisons"}  # production's `current` is not touched
