"""Versions that several test modules share."""

import shutil
from pathlib import Path

import pytest

from models.registry import mlflow_registry, packing, version_folder
from tests.models.registry.versions import NAME, TAGS, new_run


@pytest.fixture(scope="module")
def written(predictor, pixels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions") / "deep" / "version"
    version_folder.write(predictor, pixels, folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A version of one's own, to be damaged."""
    return shutil.copytree(written, tmp_path / "version")


@pytest.fixture
def publish(tracking_store, predictor, pixels):
    def make(predictor=predictor, run_id=None, tags=TAGS):
        run_id = run_id or new_run(tracking_store)
        return mlflow_registry.publish(tracking_store, NAME, predictor, pixels, run_id, tags)

    return make


@pytest.fixture
def release_anew(tmp_path, monkeypatch):
    """From then on another release of this project packs its code: its variation ratio is 42."""

    def release():
        code = tmp_path / "another_release"
        shutil.copytree(Path(packing.__file__).parents[1], code)
        with (code / "uncertainty.py").open("a") as file:
            file.write("\n\ndef variation_ratio(probs):\n    return probs[:, 0, 0] * 0 + 42\n")
        monkeypatch.setattr(packing, "__file__", str(code / "registry" / "packing.py"))

    return release
