"""The Bento: what its file says, and a real one that carries a version, away from everything."""

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch
import yaml

from models.images import decode
from models.network.start import SURFACE
from models.registry.mlflow_registry import MlflowRegistry
from tests.processes import eventually
from tests.service.fakes import casting
from tests.service.real import answers, free_port, publish

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NOWHERE = "http://127.0.0.1:9"  # port 9 is closed


@pytest.fixture
def bentofile():
    return yaml.safe_load((ROOT / "bentofile.yaml").read_text())


def test_its_packages_are_those_of_the_project(bentofile):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(bentofile["python"]["packages"]) <= set(project["dependencies"])


def test_it_keeps_clear_of_what_bentoml_trips_over(bentofile):
    assert all(pattern.startswith("/") for pattern in bentofile["include"])
    assert bentofile["python"]["lock_packages"] is False
    assert not {"conda", "models"} & set(bentofile)


def test_it_takes_every_file_of_models_and_service_along_but_a_start_and_no_test(bentofile):
    """The weights of a start are megabytes that only a training reads."""
    taken = {
        path
        for pattern in bentofile["include"]
        for path in ROOT.glob(pattern.removeprefix("/"))
        if path.is_file()
    }
    files = {
        path
        for package in ("models", "service")
        for path in (ROOT / package).rglob("*.*")
        if (path.suffix != ".pyc" and path.parent != SURFACE.parent) or path.suffix == ".py"
    }
    assert taken - set((ROOT / "version").rglob("*")) == files


@pytest.fixture
def bento_home(tracking_store, predictors, tmp_path) -> Path:
    """A store of Bentos in which `make bento VERSION=2` has built one; version 1 is current."""
    publish(tracking_store, predictors)
    checkout = tmp_path / "checkout"
    for package in ("models", "jobs", "service"):
        shutil.copytree(ROOT / package, checkout / package)
    for file in ("Makefile", "bentofile.yaml", "pyproject.toml"):
        shutil.copy(ROOT / file, checkout)
    home = tmp_path / "bentos"
    command = ["make", "bento", "VERSION=2", f"BIN={BIN}", "-o", ".venv/.installed"]
    done = subprocess.run(
        command,
        cwd=checkout,
        env=os.environ | {"BENTOML_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return home


@pytest.fixture
def served(bento_home, tmp_path) -> Iterator[httpx.Client]:
    """The Bento, served from another folder, with its tracking server gone."""
    port, log, elsewhere = free_port(), tmp_path / "log", tmp_path / "elsewhere"
    url = f"http://127.0.0.1:{port}"
    elsewhere.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CASTING_")} | {
        "BENTOML_HOME": str(bento_home),
        "BENTOML_DO_NOT_TRACK": "True",
        "MLFLOW_TRACKING_URI": NOWHERE,
    }
    command = [str(BIN / "bentoml"), "serve", "casting-inspector:latest"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as file:
        server = subprocess.Popen(
            command, cwd=elsewhere, env=environment, stdout=file, stderr=file
        )
    try:
        with httpx.Client(base_url=url, timeout=30) as client:
            assert eventually(lambda: answers(url), 60), log.read_text()
            yield client
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


@pytest.mark.slow
def test_a_bento_carries_its_version_and_serves_it_without_mlflow(
    served, bento_home, tracking_store, predictors, photos
):
    (bento,) = (bento_home / "bentos" / "casting-inspector").glob("*/")
    source = bento / "src"
    assert {path.name for path in source.iterdir() if path.is_dir()} >= {"models", "service"}
    assert not list(source.rglob("*.pyc"))
    assert not list(source.rglob("test_*"))
    for package in ("models", "service"):
        modules = {path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")}
        assert {path.relative_to(source) for path in (source / package).rglob("*.py")} == modules
    written = (bento / "env" / "python" / "requirements.txt").read_text().splitlines()
    packages = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["python"]["packages"]
    assert set(packages) <= set(written)

    origin = MlflowRegistry(tracking_store).find("casting-defects", "2")
    described = served.get("/model").json()
    assert (described["name"], described["version"]) == ("casting-defects", "2")
    assert described["run_id"] == origin.run_id
    assert described["registry"]["reachable"] is None

    files = [("images", (f"{i}.png", data)) for i, data in enumerate(photos)]
    answer = served.post("/score", files=files, data={"model_version": "2"}).json()
    ids = [casting(data) for data in photos]
    wanted = predictors["2"].answers(ids, _scores(predictors["2"], photos))
    for got, here in zip(answer["castings"], wanted, strict=True):
        assert got["casting"] == here["casting"]
        for name in ("probabilities", "mc_probabilities"):
            assert got[name] == pytest.approx(here[name], abs=1e-5)
    missing = served.post("/score", files=files, data={"model_version": "1"})
    assert missing.status_code == 404


def _scores(predictor, photos):
    pixels_N = torch.stack([decode(data, predictor.preprocessing) for data in photos])
    return predictor.score(pixels_N, 50, 0)
