import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from jobs.cli import cli
from models.acquisition.candidates import Candidates


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASTING_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    return CliRunner()


VERBS = [*cli.commands, *(f"label {name}" for name in cli.commands["label"].commands)]


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_with_an_example_and_its_defaults(runner: CliRunner, verb: str):
    shown = runner.invoke(cli, [*verb.split(), "--help"])
    assert shown.exit_code == 0
    assert f"castings {verb}" in " ".join(shown.output.split())
    command = cli
    for word in verb.split():
        command = command.commands[word]
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert getattr(parameter, "help", None)


def test_a_wrong_option_is_a_usage_error(runner: CliRunner):
    assert runner.invoke(cli, ["run", "--rounds", "0"]).exit_code == 2
    assert runner.invoke(cli, ["promote", "--rollback", "--version", "1"]).exit_code == 2


def test_an_error_that_the_user_can_mend_is_told_without_a_traceback(
    runner: CliRunner, tracking_store: MlflowClient
):
    done = runner.invoke(cli, ["run", "--data", "nowhere"])
    assert done.exit_code == 1
    assert "nowhere: no such folder or manifest" in done.stderr
    assert done.stdout == ""


def test_a_missing_ledger_folder_is_told_without_a_traceback(
    runner: CliRunner, tracking_store: MlflowClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CASTING_LEDGER", "sqlite:////no/such/folder/ledger.db")
    done = runner.invoke(cli, ["train"])
    assert done.exit_code == 1
    assert "unable to open database file" in done.stderr


def test_synthetic_castings_are_written_with_masks_and_a_manifest(
    runner: CliRunner, tmp_path: Path
):
    arguments = ["synthesize", "drawn", "--parts", "6", "--shots", "1", "--size", "48"]
    done = runner.invoke(cli, [*arguments, "--defect-share", "0.5"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["manifest"] == "drawn/manifest.csv"
    assert len(list((tmp_path / "drawn" / "images").iterdir())) == 6
    assert len(list((tmp_path / "drawn" / "masks").iterdir())) == 3


def test_a_run_prints_its_result_as_json_and_versions_are_promoted_and_exported(
    runner: CliRunner, tracking_store: MlflowClient, castings: Path
):
    options = ["--data", str(castings), "--strategy", "random", "--rounds", "2", "--steps", "2"]
    options += ["--initial", "8", "--batch", "4", "--image-size", "32"]
    done = runner.invoke(cli, ["run", *options])
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert [r["labels"] for r in result["rounds"]] == [8, 12]
    moved = runner.invoke(cli, ["promote", "--version", "1"])
    assert json.loads(moved.stdout)["number"] == "1"
    back = runner.invoke(cli, ["promote", "--rollback"])
    assert json.loads(back.stdout)["number"] == "2"
    latest = runner.invoke(cli, ["promote", "--campaign", result["campaign"]])
    assert json.loads(latest.stdout)["number"] == "2"
    written = runner.invoke(cli, ["export", "exported", "--version", "1"])
    origin = json.loads(Path("exported", "exported.json").read_text())
    assert json.loads(written.stdout) == {"folder": "exported", **origin}
    assert origin["number"] == "1"
    again = runner.invoke(cli, ["export", "exported"])
    assert again.exit_code == 1
    assert "exported exists" in again.stderr
    missing = runner.invoke(cli, ["promote", "--version", "77"])
    assert missing.exit_code == 1
    assert "casting-defects has no version 77" in missing.stderr


def takes_one_too_few(candidates: Candidates, size: int, _: object) -> list[int]:
    """One less than was asked for."""
    return list(range(size - 1))


def test_a_strategy_of_the_users_own_is_tried_before_it_is_believed(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "ours", sys.modules[__name__])
    done = runner.invoke(cli, ["check-strategy", "bald"])
    assert done.exit_code == 0
    assert len(json.loads(done.stdout)["passed"]) > 10
    done = runner.invoke(cli, ["check-strategy", "ours:takes_one_too_few"])
    assert done.exit_code == 1
    assert "asked for 1 of 1 castings, it returned []" in done.stderr
