"""Commands of a campaign, from the command line to JSON."""

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
