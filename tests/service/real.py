"""A real `bentoml serve`, in a folder of its own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import torch
from mlflow import MlflowClient

from models.prediction.predictor import Predictor
from models.registry.mlflow_registry import MlflowRegistry
from models.registry.version import Version
from tests.processes import eventually

MODEL = "casting-defects"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Served:
    url: str
    log: Path


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Served]:
    """Serve until the end of the block.

    Args:
        folder: working directory, home and place of temporary files, so that what is written
            anywhere is found in it.
        variables: of the environment.
    """
    port = str(free_port())
    log, temporary = folder / "log", folder / "tmp"
    temporary.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder),
        "BENTOML_HOME": str(folder / "bentoml"),
        "TMPDIR": str(temporary),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_DO_NOT_TRACK": "True",
        **variables,
    }
    command = [Path(sys.executable).with_name("bentoml"), "serve", "--debug", "--port", port]
    command += ["--host", "127.0.0.1", "service.inspector:CastingInspector"]
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}"
        assert eventually(lambda: answers(url)), log.read_text()
        yield Served(url, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez").is_success
    except httpx.TransportError:
        return False


def publish(client: MlflowClient, predictors: Mapping[str, Predictor]) -> list[Version]:
    """Register the predictors 1 and 2 as the versions of those numbers; the first is current."""
    golden_N = torch.randint(0, 256, (4, 1, 32, 32), dtype=torch.uint8)
    experiment = client.search_experiments()[0].experiment_id
    versions = []
    for number in ("1", "2"):
        run_id = client.create_run(experiment).info.run_id
        tags = {"labels": "4"}
        versions.append(
            MlflowRegistry(client).publish(MODEL, predictors[number], golden_N, run_id, tags)
        )
    MlflowRegistry(client).promote(versions[0])
    return versions
