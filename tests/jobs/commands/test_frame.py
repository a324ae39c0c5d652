"""What every command tells and prints."""

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from jobs.cli import cli


def test_a_missing_ledger_folder_is_told_without_a_traceback(
    runner: CliRunner, tracking_store: MlflowClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CASTING_LEDGER", "sqlite:////no/such/folder/ledger.db")
    done = runner.invoke(cli, ["train"])
    assert done.exit_code == 1
    assert "unable to open database file" in done.stderr
