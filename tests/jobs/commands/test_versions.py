"""Versions promoted and exported from the command line."""

import json
from pathlib import Path

from click.testing import CliRunner
from mlflow import MlflowClient

from jobs.cli import cli


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
    assert "model.json" in origin["tags"].pop("sha256")  # nothing for people to read
    assert json.loads(written.stdout) == {"folder": "exported", **origin}
    assert origin["number"] == "1"
    again = runner.invoke(cli, ["export", "exported"])
    assert again.exit_code == 1
    assert "exported exists" in again.stderr
    missing = runner.invoke(cli, ["promote", "--version", "77"])
    assert missing.exit_code == 1
    assert "casting-defects has no version 77" in missing.stderr
