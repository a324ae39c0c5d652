"""Labels of people, from the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
from click.testing import CliRunner
from mlflow import MlflowClient

from jobs.cli import cli
from tests.jobs.fakes import write_castings

STATUS = """
import sys
from jobs.cli import cli
try:
    cli(["label", "status"])
finally:
    heavy = {"torch", "mlflow", "pandas", "PIL", "alembic", "bentoml"} & set(sys.modules)
    print(sorted(heavy), file=sys.stderr)
"""


def told(runner: CliRunner, *arguments: str) -> dict[str, object]:
    done = runner.invoke(cli, [*arguments])
    assert done.exit_code == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def awaiting(runner: CliRunner, folder: Path) -> Path:
    """The file of labels of a campaign on castings without any, which awaits its first batch."""
    data = write_castings(folder / "pool", {"shots": 30}) / "shots"
    options = ["--data", str(data), "--classes", "ok,def", "--initial", "6", "--audit-share", "0"]
    assert told(runner, "run", *options, "--image-size", "32")["state"] == "awaiting labels"
    file = folder / "labels.csv"
    assert told(runner, "label", "export", str(file))["awaiting"] == 6
    return file


def test_labels_go_out_and_come_in_by_a_file(
    runner: CliRunner, tracking_store: MlflowClient, tmp_path: Path
):
    file = awaiting(runner, tmp_path)
    table = pd.read_csv(file, dtype="string", keep_default_na=False)
    table["label"] = ["ok", "def"] * 3
    table.to_csv(file, index=False)
    taken = told(runner, "label", "import", str(file))
    assert (taken["labels"], taken["news"]) == (6, 6)
    status = told(runner, "label", "status")
    assert (status["asked"], status["labelled"], status["awaiting"]) == (6, 6, 0)
    assert status["labels"] == {"def": 3, "ok": 3}


def test_status_needs_neither_torch_nor_mlflow_and_a_file_that_is_gone_awaits_nobody(
    runner: CliRunner, tracking_store: MlflowClient, tmp_path: Path
):
    file = awaiting(runner, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", STATUS],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert json.loads(done.stdout)["awaiting"] == 6
    assert done.stderr.splitlines()[-1] == "[]"
    Path(pd.read_csv(file)["path"][0]).unlink()
    assert told(runner, "label", "status")["awaiting"] == 5
