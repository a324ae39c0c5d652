"""What the environment variables make of the context."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.environment_variables import MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT

from jobs.adapters import environment
from jobs.adapters.environment import real_context


def test_mlflow_keeps_off_the_stdout_that_the_json_goes_to(
    tracking_store: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CASTING_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    for name in environment._DEFAULTS:  # noqa: SLF001 -- so that they are taken back at the end
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with real_context():  # it would print links where the tracking server speaks HTTP
        assert MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get()
