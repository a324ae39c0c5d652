"""The model as a pyfunc, here and in a program that knows nothing of this project."""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from fastapi.testclient import TestClient
from mlflow.pyfunc import scoring_server
from PIL import Image

from models.errors import DataError, UnreadableImage
from models.registry.mlflow_registry import MlflowRegistry
from models.registry.pyfunc import CastingModel
from tests.models.registry.versions import NAME


def test_the_model_takes_bytes_and_paths_and_gives_the_services_rows(
    predictor, photograph, tmp_path
):
    (tmp_path / "b.png").write_bytes(photograph(2))
    frame = pd.DataFrame({"image": [photograph(1), str(tmp_path / "b.png"), photograph(3)]})
    answered = CastingModel(predictor).predict(frame, {"passes": 4, "seed": 2})
    contents = [photograph(1), photograph(2), photograph(3)]
    decoded = torch.stack([torch.from_numpy(pixels_of(data)) for data in contents])
    wanted = predictor.answers(ids_of(contents), predictor.score(decoded, 4, 2))
    assert answered.to_dict("records") == wanted


def ids_of(contents):
    return [hashlib.sha256(content).hexdigest() for content in contents]


def pixels_of(data):
    return np.asarray(Image.open(io.BytesIO(data)))[None].copy()


def test_no_castings_give_no_rows_but_the_columns(predictor):
    found = CastingModel(predictor).predict(pd.DataFrame({"image": []}))
    assert len(found) == 0
    assert "bald" in found.columns


def test_a_frame_without_images_is_refused(predictor):
    with pytest.raises(DataError, match="a column 'image' is needed"):
        CastingModel(predictor).predict(pd.DataFrame({"picture": [b""]}))


def test_an_unreadable_image_is_refused(predictor):
    with pytest.raises(UnreadableImage):
        CastingModel(predictor).predict(pd.DataFrame({"image": [b"text"]}))


@pytest.fixture
def serving(monkeypatch):
    """As `mlflow models serve` tells a model that it is on a server."""
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")


def test_on_a_server_text_is_base64(predictor, photograph, serving):
    sent = base64.encodebytes(photograph(1)).decode()  # in lines, as `base64` writes it
    answered = CastingModel(predictor).predict(pd.DataFrame({"image": [sent]}))
    assert answered["casting"].tolist() == ids_of([photograph(1)])


def test_on_a_server_no_path_is_opened(predictor, photograph, tmp_path, serving):
    path = tmp_path / "casting.png"
    path.write_bytes(photograph(1))
    for sent in (str(path), f"file://{path}", path):
        with pytest.raises(DataError, match="sent as base64"):
            CastingModel(predictor).predict(pd.DataFrame({"image": [sent]}))


@pytest.mark.slow
def test_mlflows_own_server_takes_base64_and_opens_no_path(publish, photograph, tmp_path, serving):
    publish()
    (tmp_path / "casting.png").write_bytes(photograph(1))
    path = str(tmp_path / "casting.png")
    loaded = mlflow.pyfunc.load_model("models:/casting-defects/1")
    assert loaded.metadata.signature.inputs.to_dict() == [
        {"type": "binary", "name": "image", "required": True}
    ]
    sent = base64.b64encode(photograph(1)).decode()
    with TestClient(scoring_server.init(loaded)) as client:
        records = {"dataframe_records": [{"image": sent}], "params": {"passes": 4}}
        answer = client.post("/invocations", json=records)
        assert answer.status_code == 200, answer.text
        (row,) = answer.json()["predictions"]
        assert row["casting"] == ids_of([photograph(1)])[0]
        split = {"dataframe_split": {"columns": ["image"], "data": [[sent]]}}
        assert client.post("/invocations", json=split).status_code == 200
        csv = {"Content-Type": "text/csv"}
        assert client.post("/invocations", content=f"image\n{sent}\n", headers=csv).is_success
        for body in ({"dataframe_records": [{"image": path}]}, {"inputs": {"image": [path]}}):
            refused = client.post("/invocations", json=body)
            assert refused.status_code == 400
        refused = client.post("/invocations", content=f"image\n{path}\n", headers=csv)
        assert refused.status_code == 400


STRANGER = """
import json, sys
import models
assert models.WHOSE == "somebody else's"
import mlflow
import pandas as pd
loaded = [mlflow.pyfunc.load_model(f"models:/casting-defects@{alias}")
          for alias in ("current", "other")]
frame = pd.DataFrame({"image": [open(sys.argv[1], "rb").read(), sys.argv[1]]})
rows = [model.predict(frame, params={"passes": 6, "seed": 3}).to_dict("records")
        for model in [*loaded, loaded[0]]]
assert sys.modules["models"].WHOSE == "somebody else's"
assert not [name for name in sys.modules if name.startswith("models.")]
packages = sorted({name.split(".")[0] for name in sys.modules if "casting_model_" in name})
print(json.dumps({"rows": rows, "packages": packages, "default": len(loaded[0].predict(frame))}))
"""


@pytest.mark.slow
def test_a_stranger_loads_two_versions_beside_a_package_models_of_their_own(
    tracking_store, publish, predictor, photograph, tmp_path, release_anew
):
    MlflowRegistry(tracking_store).promote(publish())
    release_anew()
    tracking_store.set_registered_model_alias(NAME, "other", publish().number)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "models").mkdir(parents=True)
    (elsewhere / "models" / "__init__.py").write_text('WHOSE = "somebody else\'s"\n')
    (elsewhere / "stranger.py").write_text(STRANGER)
    (elsewhere / "casting.png").write_bytes(photograph(5))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "stranger.py", "casting.png"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    first, other, first_again = said["rows"]
    data = photograph(5)
    decoded = torch.from_numpy(pixels_of(data))[None].repeat(2, 1, 1, 1)
    wanted = predictor.answers(ids_of([data, data]), predictor.score(decoded, 6, 3))
    for row, of_ours in zip(first, wanted, strict=True):
        assert list(row) == list(of_ours)
        assert row["casting"] == of_ours["casting"]
        assert row["bald"] == pytest.approx(of_ours["bald"], abs=1e-4)
        assert row["probabilities"] == pytest.approx(of_ours["probabilities"], abs=1e-4)
    assert first_again == first
    assert {row["variation_ratio"] for row in other} == {42}
    assert 42 not in {row["variation_ratio"] for row in first}
    assert len(said["packages"]) == 2
    assert said["default"] == 2
