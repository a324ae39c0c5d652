"""Commands of a campaign, from the command line to JSON."""

import json
from pathlib import Path

from click.testing import CliRunner
from mlflow import MlflowClient

from jobs.cli import cli


def test_an_error_that_the_user_can_mend_is_told_without_a_traceback(
    runner: CliRunner, tracking_store: MlflowClient
):
    done = runner.invoke(cli, ["run", "--data", "nowhere"])
    assert done.exit_code == 1
    assert "nowhere: no such folder or manifest" in done.stderr
    assert done.stdout == ""


def test_a_dry_run_prints_what_it_understood_and_leaves_nothing_behind(
    runner: CliRunner, castings: Path, tmp_path: Path
):
    before = sorted(tmp_path.iterdir())
    done = runner.invoke(cli, ["run", "--data", str(castings), "--dry-run"])
    assert (done.exit_code, done.stderr) == (0, "0 of 40 castings are tinted: grey\n")
    found = json.loads(done.stdout)
    assert list(found) == [
        *("classes", "sides", "parts", "channels", "bits", "ignored", "unreadable", "warnings")
    ]
    assert found["classes"] == {"def": 20, "ok": 20}
    assert sorted(tmp_path.iterdir()) == before
