"""The code that travels inside a version."""

import ast
import re
from pathlib import Path

from models.registry import packing

MODELS = Path(packing.__file__).parents[1]


def imported(file):
    """Modules of the project's that a file imports, as paths below `models` without a suffix."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "models":
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
            paths = ["/".join(name.split(".")[1:]) for name in names]
            paths += [f"{path}/__init__" for path in paths if path]
            yield from (path for path in paths if (MODELS / f"{path}.py").is_file())


def test_what_is_packed_is_what_the_pyfunc_stands_on_and_nothing_else():
    needed, waiting = set(), ["registry/pyfunc"]
    while waiting:
        module = waiting.pop()
        if module not in needed:
            needed.add(module)
            waiting += imported(MODELS / f"{module}.py")
            folder = Path(module).parent
            waiting += [f"{folder}/__init__"] if folder != Path() else []
    assert set(packing._MODULES) == needed  # noqa: SLF001


def test_the_packed_code_never_stands_on_a_package_models(tmp_path):
    package = packing.pack(tmp_path)
    files = list((tmp_path / package).rglob("*.py"))
    assert len(files) == len(packing._MODULES) + 1  # noqa: SLF001
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split(".")[0] in {"models", "jobs", "service"}], file


def test_the_packages_name_follows_from_the_code(tmp_path, release_anew):
    first = packing.pack(tmp_path / "1")
    assert packing.pack(tmp_path / "2") == first
    assert re.fullmatch(r"casting_model_[0-9a-f]{12}", first)
    release_anew()
    assert packing.pack(tmp_path / "3") != first
