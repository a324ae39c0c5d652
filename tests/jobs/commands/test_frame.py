"""What every command tells and prints."""

from typing import Any

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from jobs.cli import cli
from jobs.commands import frame
from jobs.commands.frame import prints_json


def test_a_missing_ledger_folder_is_told_without_a_traceback(
    runner: CliRunner, tracking_store: MlflowClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CASTING_LEDGER", "sqlite:////no/such/folder/ledger.db")
    done = runner.invoke(cli, ["train"])
    assert done.exit_code == 1
    assert "unable to open database file" in done.stderr


def test_who_interrupts_is_told_that_the_same_command_goes_on(capsys: pytest.CaptureFixture[str]):
    @prints_json
    def interrupted() -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        interrupted()
    assert ended.value.code == 130
    assert capsys.readouterr().err == (
        "Stopped. What is recorded stays: the same command goes on.\n"
    )


def test_a_label_file_in_a_clone_of_mlflows_is_refused(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(frame, "in_clone", lambda: True)
    refused = runner.invoke(cli, ["label", "export", "labels.csv"])
    assert refused.exit_code == 2
    assert "temporary clone; give labels.csv absolute" in " ".join(refused.stderr.split())
