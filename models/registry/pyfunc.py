"""The model as a generic MLflow pyfunc, for programs that know nothing of this project.

A copy of this module, and of those it stands on, is packed into each version under a name of its
own (`models.registry.packing`); service and jobs never run that copy.
"""

import base64
import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from models.errors import DataError
from models.images import decode
from models.prediction.predictor import MINIBATCH, Answer, Predictor
from models.registry import version_folder

_SERVERS = frozenset(
    {"mlflow.pyfunc.scoring_server.app", "mlserver"}
)  # modules that only they load


class CastingModel:
    """What `mlflow.pyfunc.load_model` returns inside its wrapper."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(
        self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """The service's fields for each casting of a column `image`, bytes or paths, in its order.

        On a server (`mlflow models serve`) text is base64, never a path.

        Raises:
            DataError: there is no such column, `passes` (default 50) or `seed` (0) among the
                `params` is out of range, or an image cannot be read.
        """
        if "image" not in model_input:
            raise DataError(f"a column 'image' is needed, there is {list(model_input.columns)}")
        options = {"passes": 50, "seed": 0, **(params or {})}
        passes, seed = int(options["passes"]), int(options["seed"])
        if passes < 1 or seed < 0:
            raise DataError(f"passes {passes}, seed {seed}: at least 1 pass, and a seed from 0 on")
        contents = [_content(image) for image in model_input["image"]]
        rows: list[Answer] = []
        for start in range(0, len(contents), MINIBATCH):
            chunk = contents[start : start + MINIBATCH]
            pixels = [decode(data, self.predictor.preprocessing) for data in chunk]
            scores = self.predictor.score(torch.stack(pixels), passes, seed)
            castings = [hashlib.sha256(data).hexdigest() for data in chunk]
            rows += self.predictor.answers(castings, scores)
        return pd.DataFrame(rows, columns=list(Answer.__annotations__))


def _content(image: object) -> bytes:
    if isinstance(image, bytes | bytearray):
        return bytes(image)
    if not _on_a_server():
        return Path(str(image)).read_bytes()
    try:
        return base64.b64decode("".join(str(image).split()), validate=True)
    except ValueError as error:
        raise DataError("an image is sent as base64 of its file's bytes") from error


def _on_a_server() -> bool:
    """Whether what is predicted may come over the wire; no client can change that."""
    serving = os.environ.get("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "")  # noqa: TID251 -- MLflow's word
    return serving.lower() in {"true", "1"} or not _SERVERS.isdisjoint(sys.modules)


def _load_pyfunc(data_path: str) -> CastingModel:
    """MLflow's entry point; `data_path` is a folder of `models.registry.version_folder`."""
    return CastingModel(version_folder.read(Path(data_path)))
