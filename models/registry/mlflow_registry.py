"""Model versions in MLflow's registry: the one model file that knows MLflow.

A version is a pyfunc without pickles around the folder of `models.registry.version_folder`. The
client is an argument; the fluent API, with its hidden current run, is never used.
"""

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib.metadata import version as installed
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModelOutput, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import save_model
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from torch import Tensor

from models.errors import VersionError, VersionNotFound, listed
from models.prediction.predictor import Predictor
from models.registry import packing, version_folder
from models.registry.version import ALIAS, DIGESTS, FIRST, ROLLED_BACK, WAS_CURRENT, Version

_DATA = "data/version"
_ORIGIN = "exported.json"  # in an exported folder: the `Version` that it is
_PICKLES = frozenset(
    {".bin", ".ckpt", ".dill", ".joblib", ".pickle", ".pkl", ".pt", ".pt2", ".pth"}
)  # what comes under other names is never opened either
_REQUIREMENTS = (
    "mlflow", "numpy", "pandas", "pillow", "safetensors", "scipy", "threadpoolctl", "timm",
    "torch", "torchvision",
)  # fmt: skip
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class MlflowRegistry:
    """The registered models of a tracking server.

    Any method raises MlflowException where the server cannot be asked, VersionNotFound for a
    version that it has not, and VersionError for one whose files cannot be had or read.
    """

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def publish(
        self,
        name: str,
        predictor: Predictor,
        golden_N: Tensor,
        run_id: str,
        tags: Mapping[str, str],
    ) -> Version:
        """Log the model to its run and register it as the next version of `name`.

        A run that has registered one of the same labels (tag `labels_sha256`) has it already.
        """
        registered = self._client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
        latest = max(registered, key=lambda version: int(version.version), default=None)
        if latest is not None and latest.tags.get("labels_sha256") == tags["labels_sha256"]:
            return _version(latest)
        run = self._client.get_run(run_id)
        self._clear_away(run, {version.source for version in registered})
        logged = self._client.create_logged_model(
            run.info.experiment_id,
            name=name,
            source_run_id=run_id,
            tags=dict(tags),
            params=run.data.params,
            model_type="casting-classifier",
        )
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "version"
            description = Model(
                run_id=run_id, model_uuid=logged.model_id, model_id=logged.model_id
            )
            save(predictor, golden_N, folder, description)
            tags = {**tags, DIGESTS: json.dumps(digests(folder), sort_keys=True)}
            self._client.log_model_artifacts(logged.model_id, str(folder))
        self._client.finalize_logged_model(logged.model_id, "READY")
        self._client.log_outputs(
            run_id, [LoggedModelOutput(logged.model_id, step=int(tags["labels"]))]
        )
        self._ensure_registered(name)
        made = self._client.create_model_version(
            name, logged.artifact_location, run_id, tags=dict(tags), model_id=logged.model_id
        )
        return _version(made)

    def find(self, name: str, number: str) -> Version:
        """Look up a version by number."""
        with _looking_for(name, number):
            return _version(self._client.get_model_version(name, number))

    def current(self, name: str, alias: str = ALIAS) -> Version | None:
        """The version that the alias points at, None where it is not set."""
        with suppress(VersionNotFound), _looking_for(name, alias):
            return _version(self._client.get_model_version_by_alias(name, alias))
        return None

    def load(
        self, version: Version, backbones: version_folder.Backbones | None = None
    ) -> Predictor:
        """Download a version and let it prove itself; it shares one of `backbones` if it can."""
        with tempfile.TemporaryDirectory() as temporary:
            return load_folder(_download(version, Path(temporary)), backbones, version.tags)

    def export(self, version: Version, folder: Path) -> None:
        """Download all of a version, let it prove itself, and note in the folder which one it is.

        Raises:
            VersionError: the folder exists, or the version is not usable; then nothing is left.
        """
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            raise VersionError(f"{folder} exists; remove it or name another folder") from error
        try:
            _download(version, folder)
            load_folder(folder, tags=version.tags)
            (folder / _ORIGIN).write_text(json.dumps(asdict(version), indent=2) + "\n")
        except BaseException:
            shutil.rmtree(folder)
            raise

    def promote(self, version: Version) -> None:
        """Move the alias `current` to a version.

        Its tag `previous` names the one before it (`none` where there was none) and comes first,
        `was_current` comes last: whoever dies in between does the same again.
        """
        name, number = version.name, version.number
        before = self.current(name)
        if before is None or before.number != number:
            previous = FIRST if before is None else before.number
            self._client.set_model_version_tag(name, number, "previous", previous)
            self._client.set_registered_model_alias(name, ALIAS, number)
        if WAS_CURRENT not in version.tags:
            self._client.set_model_version_tag(name, number, WAS_CURRENT, "true")

    def mark_rolled_back(self, version: Version) -> None:
        """Mark a version that a person takes out of service: no campaign brings it back."""
        self._client.set_model_version_tag(version.name, version.number, ROLLED_BACK, "true")

    def roll_back(self, version: Version) -> None:
        """Move the alias `current` back to a version.

        The chain of `previous` stays as it is: a second step back goes further back.
        """
        self._client.set_registered_model_alias(version.name, ALIAS, version.number)

    def _clear_away(self, run: Run, registered: set[str | None]) -> None:
        """Delete the models that earlier attempts of this run left behind, unregistered."""
        where = f"source_run_id = '{run.info.run_id}'"
        for model in self._client.search_logged_models([run.info.experiment_id], where):
            if model.artifact_location not in registered:
                self._client.delete_logged_model(model.model_id)

    def _ensure_registered(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def save(predictor: Predictor, golden_N: Tensor, folder: Path, description: Model) -> None:
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
            mlflow_model=description,
            signature=ModelSignature(
                inputs=Schema([ColSpec("binary", "image")]),  # base64, where it comes as JSON
                params=ParamSchema(
                    [ParamSpec("passes", "long", 50), ParamSpec("seed", "long", 0)]
                ),
            ),
            pip_requirements=[f"{p}=={installed(p).partition('+')[0]}" for p in _REQUIREMENTS],
        )


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in a folder, by its path in there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def _check_digests(folder: Path, tags: Mapping[str, str]) -> None:
    """Refuse files that are not those that were published; older versions do not say."""
    published: dict[str, str] = json.loads(tags.get(DIGESTS, "{}"))
    found = digests(folder) if published else {}
    changed = [name for name, digest in published.items() if found.get(name) != digest]
    if changed:
        raise VersionError(
            f"{folder}: {listed(changed)} lacks or is not what was published (SHA-256 in the tag "
            f"{DIGESTS}); restore the artifacts, or promote another version"
        )


def load_folder(
    folder: Path,
    backbones: version_folder.Backbones | None = None,
    tags: Mapping[str, str] | None = None,
) -> Predictor:
    """Load an exported version: an MLflow model folder, or the data folder inside it.

    Raises:
        VersionError: its files are not those that the version's `tags` tell of, or are no version.
    """
    _check_digests(folder, tags or {})
    pickles = sorted(path.name for path in folder.rglob("*") if path.suffix in _PICKLES)
    if pickles:
        raise VersionError(
            f"{folder}: pickles have no place in a version, here are {', '.join(pickles)}"
        )
    inner = folder / _DATA
    if inner.is_dir() and inner.resolve() != folder.resolve() / _DATA:
        raise VersionError(f"{folder}: {_DATA} is a link out of the version")
    return version_folder.read(inner if inner.is_dir() else folder, backbones)


def origin(folder: Path) -> Version | None:
    """Which version `export` put into a folder, None where it was not `export`."""
    note = folder / _ORIGIN
    try:
        return Version(**json.loads(note.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise VersionError(f"{note}: {error}") from error


def _version(registered: ModelVersion) -> Version:
    number, run_id = str(registered.version), registered.run_id or ""
    return Version(registered.name, number, run_id, dict(registered.tags))


@contextmanager
def _looking_for(name: str, number: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        if error.error_code in _MISSING:
            raise VersionNotFound(f"{name} has no version {number}") from error
        raise


def _download(version: Version, target: Path) -> Path:
    uri = f"models:/{version.name}/{version.number}"
    try:
        with _looking_for(version.name, version.number):
            return Path(download_artifacts(uri, dst_path=str(target)))
    except OSError as error:
        raise VersionError(
            f"the files of {version.name} version {version.number}: {error}"
        ) from error
