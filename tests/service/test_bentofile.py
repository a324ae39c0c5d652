import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bentofile():
    return yaml.safe_load((ROOT / "bentofile.yaml").read_text())


def test_its_packages_are_those_of_the_project(bentofile):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(bentofile["python"]["packages"]) <= set(project["dependencies"])


def test_it_keeps_clear_of_what_bentoml_trips_over(bentofile):
    assert all(pattern.startswith("/") for pattern in bentofile["include"])
    assert bentofile["python"]["lock_packages"] is False
    assert not {"conda", "models"} & set(bentofile)


def test_it_takes_every_file_of_the_service_along(bentofile):
    left = [
        path
        for path in (ROOT / "service").rglob("*.*")
        if path.suffix != ".pyc"
        and not any(
            Path("/", path.relative_to(ROOT)).match(pattern) for pattern in bentofile["include"]
        )
    ]
    assert left == []
