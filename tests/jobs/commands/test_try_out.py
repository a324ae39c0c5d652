"""Things tried out from the command line."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from jobs.cli import cli
from models.acquisition.candidates import Candidates


def takes_one_too_few(candidates: Candidates, size: int, _: object) -> list[int]:
    """One less than was asked for."""
    return list(range(size - 1))


def test_synthetic_castings_are_written_with_masks_and_a_manifest(
    runner: CliRunner, tmp_path: Path
):
    arguments = ["synthesize", "drawn", "--parts", "6", "--shots", "1", "--size", "48"]
    done = runner.invoke(cli, [*arguments, "--defect-share", "0.5", "--hardness", "0.9"])
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert said["manifest"] == "drawn/manifest.csv"
    assert (said["defect_share"], said["hardness"]) == (0.5, 0.9)
    assert len(list((tmp_path / "drawn" / "images").iterdir())) == 6
    assert len(list((tmp_path / "drawn" / "masks").iterdir())) == 3


def test_an_impossible_hardness_is_refused_with_the_way_out(runner: CliRunner):
    done = runner.invoke(cli, ["synthesize", "drawn", "--hardness", "2"])
    assert done.exit_code == 1
    assert "hardness is 2.0, but it goes from 0, blatant defects, to 1" in done.stderr


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
