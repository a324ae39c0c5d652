"""Files that say the same thing say it alike."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, TypeGuard

import click
import pytest
import yaml

from models.acquisition.strategies.table import STRATEGIES
from tests.docs.pages import ROOT, command_of

PACKAGES = ("models", "jobs", "service")
WITHOUT_TESTS = {
    "__init__.py",
    "__main__.py",
}  # a docstring; a command line started by other tests


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
    command, _ = command_of(verb.split())
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


def test_the_page_of_strategies_has_a_row_for_each():
    page = (ROOT / "docs" / "strategies.md").read_text()
    assert [name for name in STRATEGIES if f"\n| `{name}` |" not in page] == []


def test_no_file_is_longer_than_300_lines():
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for folder in (*PACKAGES, "tests", "benchmarks", "docs", ".ci")
        for path in (ROOT / folder).glob("**/*")
        if path.suffix in {".py", ".js", ".css", ".html"}
    }
    assert {name: count for name, count in lines.items() if count > 300} == {}


def _has_logic(module: Path) -> bool:
    """Whether a function or method of it does more than to be declared."""
    functions = (node for node in ast.walk(ast.parse(module.read_text())) if _is_function(node))
    return any(
        not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for function in functions
        for statement in function.body
    )


def _is_function(node: ast.AST) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def test_every_module_with_logic_has_a_test_file_of_its_name():
    untested = [
        str(module.relative_to(ROOT))
        for package in PACKAGES
        for module in sorted((ROOT / package).rglob("*.py"))
        if module.name not in WITHOUT_TESTS and _has_logic(module)
        if "migrations" not in module.parts  # its steps are tried together: test_migrations.py
        if not (ROOT / "tests" / module.relative_to(ROOT))
        .with_name(f"test_{module.name}")
        .exists()
    ]
    assert untested == []


def test_a_protocol_has_no_logic_and_a_property_has(tmp_path: Path):
    module = tmp_path / "ports.py"
    module.write_text(
        'class Port:\n    def ask(self) -> int:\n        """How many."""\n        ...\n'
    )
    assert not _has_logic(module)
    module.write_text("class Port:\n    @property\n    def one(self) -> int:\n        return 1\n")
    assert _has_logic(module)


def test_every_benchmark_can_be_imported():
    names = {path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py")}
    names.remove("peer")  # it has an environment of its own
    imports = ", ".join(f"benchmarks.{name}" for name in sorted(names))
    command = [sys.executable, "-c", f"import {imports}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_count_of_lines_refuses_a_package_over_its_budget(tmp_path: Path):
    (tmp_path / ".ci").mkdir()
    script = shutil.copy(ROOT / ".ci" / "lines.py", tmp_path / ".ci")
    (tmp_path / "models" / "inner").mkdir(parents=True)
    (tmp_path / "models" / "inner" / "one.py").write_text("a = 1\nb = 2\n")
    for budget, code in ((2, 0), (1, 1)):
        table = f"[tool.casting.lines]\nmodels = {budget}\n"
        (tmp_path / "pyproject.toml").write_text(table)
        done = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, check=False
        )
        assert done.returncode == code
        assert done.stdout == f"models: 2 of {budget} lines\n"
    assert "over budget: models" in done.stderr
