import json

import pytest
import torch

from models.errors import ServiceError, VersionNotFound
from models.registry import version_folder
from service.hosting.sources import FolderSource, RegistrySource, open_source


@pytest.mark.parametrize(
    "uri", ["models:/a@current", "models:/a/7", "models:/with space-and.dots@champion"]
)
def test_a_registry_uri_opens_the_registry(uri):
    source = open_source(uri)
    assert isinstance(source, RegistrySource)
    assert source.changes


@pytest.mark.parametrize(
    "uri",
    ["models:/a", "models:/a/Production", "models:/a@", "models:/m-0123", "models://a/b/c@d"],
)
def test_other_uris_are_refused_with_what_is_accepted(uri):
    with pytest.raises(ServiceError, match="give models:/NAME@ALIAS, models:/NAME/NUMBER"):
        open_source(uri)


def test_a_folder_is_a_version_of_its_own(tmp_path, predictors):
    version_folder.write(
        predictors["1"], torch.zeros(2, 1, 32, 32, dtype=torch.uint8), tmp_path / "mine"
    )
    source = open_source(str(tmp_path / "mine"))
    assert isinstance(source, FolderSource)
    version = source.current()
    assert (version.name, version.number, version.run_id) == ("mine", "0", "")
    assert source.load(version).classes == predictors["1"].classes
    assert source.find("0") == version
    with pytest.raises(VersionNotFound, match="the folder of mine has no version 1"):
        source.find("1")


def test_an_exported_folder_keeps_the_name_number_and_run_it_had(tmp_path):
    known = {"name": "casting-defects", "number": "7", "run_id": "ab", "tags": {"labels": "40"}}
    (tmp_path / "exported.json").write_text(json.dumps(known))
    source = open_source(str(tmp_path))
    assert source.name == "casting-defects"
    version = source.current()
    assert (version.number, version.run_id) == ("7", "ab")
    assert source.find("7") == version
    with pytest.raises(VersionNotFound, match="the folder of casting-defects has no version 0"):
        source.find("0")


def test_numbers_that_no_registry_can_hold_are_not_asked_for():
    with pytest.raises(VersionNotFound):
        RegistrySource("a", alias="current", number=None).find("99999999999")
