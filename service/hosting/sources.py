"""Where versions come from: MLflow's registry, or a folder."""

import re
from functools import cached_property
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from mlflow import MlflowClient

from models.errors import ServiceError, VersionNotFound
from models.prediction.predictor import Predictor
from models.registry import mlflow_registry
from models.registry.mlflow_registry import MlflowRegistry
from models.registry.version import ALIAS, Version
from models.registry.version_folder import Backbones

FOLDER_NUMBER = "0"  # of a folder that does not say; MLflow counts from 1
_MODEL_URI = re.compile(r"models:/(?P<name>[^/@:]+)(@(?P<alias>[^/@:]+)|/(?P<number>\d{1,9}))")
_MOST_DIGITS = 9  # registries keep the number in 32 bits and fail on more


class Source(Protocol):
    """What the host needs of the outside world; anything may raise, and take long."""

    @property
    def name(self) -> str:
        """Of the registered model, or of the folder."""

    @property
    def changes(self) -> bool:
        """Whether another version may become the current one, so that polling makes sense."""

    def current(self) -> Version:
        """The version to serve by default; VersionNotFound when there is none."""

    def find(self, number: str) -> Version:
        """The version of that number; VersionNotFound when there is none."""

    def load(self, version: Version) -> Predictor:
        """Load a version and let it prove itself."""


def open_source(model: str) -> Source:
    """The source that `CASTING_MODEL` names.

    Raises:
        ServiceError: it begins like a registry URI, but is none that we serve.
        VersionError: it is a folder whose note of its origin is damaged.
    """
    if not model.startswith("models:"):
        return FolderSource(Path(model))
    match = _MODEL_URI.fullmatch(model)
    if match is None:
        kinds = "models:/NAME@ALIAS, models:/NAME/NUMBER, or a folder"
        raise ServiceError(f"CASTING_MODEL={model}: give {kinds}")
    return RegistrySource(match["name"], alias=match["alias"], number=match["number"])


class RegistrySource:
    """A registered model, served by an alias or by a fixed number."""

    changes = True  # a fixed number too: its registry may come up later than we do

    def __init__(self, name: str, *, alias: str | None, number: str | None) -> None:
        self.name = name
        self._alias = alias
        self._number = number
        self._backbones: Backbones = WeakValueDictionary()

    @cached_property
    def _registry(self) -> MlflowRegistry:
        # Made at the first look, not before: on a new SQLite store it fails if another process
        # creates the tables just now, and the next look then tries again.
        return MlflowRegistry(MlflowClient())

    def current(self) -> Version:
        """The version that the alias points at, or the fixed one."""
        if self._number is not None:
            return self.find(self._number)
        alias = self._alias or ALIAS
        version = self._registry.current(self.name, alias)
        if version is None:
            raise VersionNotFound(f"{self.name} has no version with the alias {alias}")
        return version

    def find(self, number: str) -> Version:
        """Look a number up."""
        if len(number) > _MOST_DIGITS:
            raise VersionNotFound(f"{self.name} has no version {number}")
        return self._registry.find(self.name, number)

    def load(self, version: Version) -> Predictor:
        """Download it; versions of one start share its backbone in memory."""
        return self._registry.load(version, self._backbones)


class FolderSource:
    """One version in a folder, under the name, number and run that it was exported from.

    A folder that does not say has its own name, the number 0 and no run.
    """

    changes = False

    def __init__(self, folder: Path) -> None:
        here = Version(folder.resolve().name, FOLDER_NUMBER, "", {})
        self._folder = folder
        self._version = mlflow_registry.origin(folder) or here
        self.name = self._version.name

    def current(self) -> Version:
        """Always the same."""
        return self._version

    def find(self, number: str) -> Version:
        """Only the number of the folder's own version is known."""
        if number != self._version.number:
            raise VersionNotFound(f"the folder of {self.name} has no version {number}")
        return self._version

    def load(self, version: Version) -> Predictor:  # noqa: ARG002 -- there is only one
        """Read the folder."""
        return mlflow_registry.load_folder(self._folder, tags=self._version.tags)
