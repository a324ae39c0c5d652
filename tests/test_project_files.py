"""Files that say the same thing say it alike."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from jobs.cli import cli
from models.acquisition.strategies.table import STRATEGIES

ROOT = Path(__file__).resolve().parent.parent


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_conda_and_pyproject_name_the_same_packages():
    dependencies = _yaml("conda.yaml")["dependencies"]
    assert sorted(dependencies[-1]["pip"]) == sorted(_pyproject()["project"]["dependencies"])
    assert [d for d in dependencies[:-1] if not re.match(r"(python=3\.11\.\d+|pip)$", d)] == []


def test_the_bento_takes_its_packages_from_pyproject():
    packages = _yaml("bentofile.yaml")["python"]["packages"]
    assert set(packages) <= set(_pyproject()["project"]["dependencies"])


def _entry_points() -> dict[str, Any]:
    points: dict[str, Any] = _yaml("MLproject")["entry_points"]
    return points


@pytest.mark.parametrize("name", sorted(_entry_points()))
def test_mlproject_and_click_have_the_same_defaults(name: str):
    entry = _entry_points()[name]
    verb = {"main": "run"}.get(name, name.replace("-", " "))
    assert entry["command"].startswith(f"python -m jobs {verb} ")
    command: click.Command = cli
    for word in verb.split():
        assert isinstance(command, click.Group)
        command = command.commands[word]
    options = {
        parameter.opts[0].removeprefix("--").replace("-", "_"): parameter.default
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.is_flag
    }
    given = {key: p["default"] for key, p in entry["parameters"].items() if key != "file"}
    assert given == options


def test_mlproject_hands_every_parameter_on():
    for entry in _entry_points().values():
        for name, parameter in entry["parameters"].items():
            flag = "" if name == "file" else f"--{name.replace('_', '-')} "
            assert f" {flag}{{{name}}}" in entry["command"]
            assert parameter["type"] in {"string", "int", "float"}
            assert str(parameter["default"]).strip()


def test_the_generated_parts_of_the_readme_are_current():
    script = [sys.executable, str(ROOT / "docs" / "readme.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_page_of_strategies_has_a_row_for_each():
    page = (ROOT / "docs" / "strategies.md").read_text()
    assert [name for name in STRATEGIES if f"\n| `{name}` |" not in page] == []


@pytest.mark.parametrize("name", ["README.md", "Makefile", "SECURITY.md"])
def test_the_service_is_started_for_this_machine_alone(name: str):
    starts = re.findall(r"bentoml serve [^`'\n]*", (ROOT / name).read_text())
    assert starts
    assert [start for start in starts if "--host 127.0.0.1" not in start] == []


def test_no_module_is_longer_than_300_lines():
    long = [
        f"{path.relative_to(ROOT)}: {lines}"
        for package in ("models", "jobs", "service")
        for path in (ROOT / package).glob("*.py")
        if (lines := len(path.read_text().splitlines())) > 300
    ]
    assert long == []
