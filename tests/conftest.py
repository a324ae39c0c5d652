"""Fixtures for every test: an MLflow store that costs a file copy instead of six seconds."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow first, so that of two workers none ends long after the other."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory):
    """An empty MLflow SQLite file of the current schema, made once a session; copy it."""
    from mlflow import MlflowClient  # two seconds that most modules do not need

    folder = tmp_path_factory.mktemp("migrated_store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def tracking_store(tmp_path, monkeypatch, migrated_store):
    """An `MlflowClient` on a fresh store in `tmp_path`, which is also the working directory.

    `MLFLOW_TRACKING_URI` points at the same store; artifacts land in `tmp_path / "mlruns"`.
    """
    from mlflow import MlflowClient  # as above

    database = tmp_path / "mlflow.db"
    shutil.copyfile(migrated_store, database)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        where = str(tmp_path / "mlruns" / "0")
        connection.execute("UPDATE experiments SET artifact_location = ?", (where,))
        connection.commit()
    uri = f"sqlite:///{database}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    return MlflowClient(uri)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch computes with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
