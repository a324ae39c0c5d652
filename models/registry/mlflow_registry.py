"""Model versions in MLflow's registry: the one model file that knows MLflow.

A version is a pyfunc without pickles around the folder of `models.registry.version_folder`. The
client is an argument; the fluent API, with its hidden current run, is never used.
"""

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version as installed
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModelOutput, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import save_model
from mlflow.types import ParamSchema, ParamSpec
from torch import Tensor

from models.errors import VersionError, VersionNotFound
from models.prediction.predictor import Predictor
from models.registry import packing, version_folder
from models.registry.version import ALIAS, FIRST, ROLLED_BACK, Version

_DATA = "data/version"
_ORIGIN = "exported.json"  # in an exported folder: the `Version` that it is
_PICKLES = frozenset(
    {".bin", ".ckpt", ".dill", ".joblib", ".pickle", ".pkl", ".pt", ".pt2", ".pth"}
)  # what comes under other names is never opened either
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pillow", "safetensors", "torch", "torchvision")
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def publish(
    client: MlflowClient,
    name: str,
    predictor: Predictor,
    golden_N: Tensor,
    run_id: str,
    tags: Mapping[str, str],
) -> Version:
    """Log the model to its run and register it as the next version of `name`."""
    run = client.get_run(run_id)
    _clear_away(client, name, run)
    logged = client.create_logged_model(
        run.info.experiment_id,
        name=name,
        source_run_id=run_id,
        tags=dict(tags),
        params=run.data.params,
        model_type="casting-classifier",
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "version"
        description = Model(run_id=run_id, model_uuid=logged.model_id, model_id=logged.model_id)
        save(predictor, golden_N, folder, description)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=int(tags["labels"]))])
    _ensure_registered(client, name)
    made = client.create_model_version(
        name, logged.artifact_location, run_id, tags=dict(tags), model_id=logged.model_id
    )
    return Version(name, str(made.version), run_id, dict(tags))


def save(
    predictor: Predictor, golden_N: Tensor, folder: Path, description: Model | None = None
) -> None:
    """Write a version as an MLflow model folder: pyfunc, data and code, no pickle."""
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        # an input example would show a casting of the user's to whoever opens the model's page
        warnings.filterwarnings("ignore", message=r"(?s).*input example was not provided")
        data, code = Path(temporary) / "version", Path(temporary) / "code"
        version_folder.write(predictor, golden_N, data)
        package = packing.pack(code)
        save_model(
            path=str(folder),
            loader_module=f"{package}.registry.pyfunc",
            data_path=str(data),
            code_paths=[str(code / package)],
            mlflow_model=description or Model(),
            signature=ModelSignature(
                params=ParamSchema([ParamSpec("passes", "long", 50), ParamSpec("seed", "long", 0)])
            ),
            pip_requirements=[f"{p}=={installed(p).partition('+')[0]}" for p in _REQUIREMENTS],
        )


def load(name: str, number: str) -> Predictor:
    """Download a version and let it prove itself.

    Raises:
        VersionNotFound: there is none of that number.
        VersionError: its files cannot be had, or it fails its self-check.
        MlflowException: the registry cannot be asked.
    """
    with tempfile.TemporaryDirectory() as temporary:
        return load_folder(_download(name, number, Path(temporary)))


def export(version: Version, folder: Path) -> None:
    """Download all of a version, let it prove itself, and note in the folder which one it is.

    Args:
        version: as `find` or `find_current` gave it.
        folder: created; its parents too.

    Raises:
        VersionError: the folder exists, the version's files cannot be had, or it fails its
            self-check; then nothing is left.
        VersionNotFound: it is gone.
        MlflowException: the registry cannot be asked.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise VersionError(f"{folder} exists; remove it or name another folder") from error
    try:
        _download(version.name, version.number, folder)
        load_folder(folder)
        (folder / _ORIGIN).write_text(json.dumps(asdict(version), indent=2) + "\n")
    except BaseException:
        shutil.rmtree(folder)
        raise


def load_folder(folder: Path) -> Predictor:
    """Load an exported version: an MLflow model folder, or the data folder inside it.

    Raises:
        VersionError: it is not a version, has a pickle or a link out of it, or fails its
            self-check.
    """
    pickles = sorted(path.name for path in folder.rglob("*") if path.suffix in _PICKLES)
    if pickles:
        raise VersionError(
            f"{folder}: pickles have no place in a version, here are {', '.join(pickles)}"
        )
    inner = folder / _DATA
    if inner.is_dir() and inner.resolve() != folder.resolve() / _DATA:
        raise VersionError(f"{folder}: {_DATA} is a link out of the version")
    return version_folder.read(inner if inner.is_dir() else folder)


def origin(folder: Path) -> Version | None:
    """Which version `export` put into a folder, None where it was not `export`.

    Raises:
        VersionError: what the folder says of it cannot be read.
    """
    note = folder / _ORIGIN
    try:
        return Version(**json.loads(note.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise VersionError(f"{note}: {error}") from error


def _download(name: str, number: str, target: Path) -> Path:
    """Download all of a version."""
    try:
        return Path(download_artifacts(f"models:/{name}/{number}", dst_path=str(target)))
    except MlflowException as error:
        if error.error_code in _MISSING:
            raise VersionNotFound(f"{name} has no version {number}") from error
        raise
    except OSError as error:
        raise VersionError(f"the files of {name} version {number}: {error}") from error


def find(client: MlflowClient, name: str, number: str) -> Version:
    """Look up a version by number.

    Raises:
        VersionNotFound: there is none.
        MlflowException: the registry cannot be asked.
    """
    try:
        version = client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code in _MISSING:
            raise VersionNotFound(f"{name} has no version {number}") from error
        raise
    return Version(name, str(version.version), version.run_id or "", dict(version.tags))


def find_current(client: MlflowClient, name: str, alias: str = ALIAS) -> Version | None:
    """The version that the alias points at, None where it is not set.

    Raises:
        MlflowException: the registry cannot be asked.
    """
    try:
        version = client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in _MISSING:
            return None
        raise
    return Version(name, str(version.version), version.run_id or "", dict(version.tags))


def find_of_run(client: MlflowClient, name: str, run_id: str) -> Version | None:
    """The version that a run registered, None where it registered none."""
    registered = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    versions = [Version(name, str(v.version), run_id, dict(v.tags)) for v in registered]
    return max(versions, key=lambda v: int(v.number), default=None)


def point(client: MlflowClient, version: Version) -> None:
    """Move the alias `current` to a version.

    Its tag `previous` names the one before it (`none` where there was none). The tag comes first:
    whoever dies in between does the same again.
    """
    before = find_current(client, version.name)
    if before is not None and before.number == version.number:
        return
    previous = FIRST if before is None else before.number
    client.set_model_version_tag(version.name, version.number, "previous", previous)
    client.set_registered_model_alias(version.name, ALIAS, version.number)


def leave(client: MlflowClient, version: Version) -> None:
    """Mark a version that a person takes out of service, so that no campaign brings it back."""
    client.set_model_version_tag(version.name, version.number, ROLLED_BACK, "true")


def point_back(client: MlflowClient, version: Version) -> None:
    """Move the alias `current` back to a version.

    The chain of `previous` stays as it is: a second step back goes further back.
    """
    client.set_registered_model_alias(version.name, ALIAS, version.number)


def _clear_away(client: MlflowClient, name: str, run: Run) -> None:
    """Delete the models that earlier attempts of this run left behind, unregistered."""
    run_id = run.info.run_id
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    registered = {version.source for version in versions}
    where = f"source_run_id = '{run_id}'"
    for model in client.search_logged_models([run.info.experiment_id], where):
        if model.artifact_location not in registered:
            client.delete_logged_model(model.model_id)


def _ensure_registered(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
