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
