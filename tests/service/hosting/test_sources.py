import gc
import json
import weakref

import pytest
import torch
from torch import nn

from models.errors import ServiceError, VersionNotFound
from models.network.backbone import Backbone
from models.registry import mlflow_registry, version_folder
from models.registry.version import Version
from service.hosting.model_host import ModelHost
from service.hosting.sources import FolderSource, RegistrySource, open_source
from service.metrics.counters import Counters
from tests.service.fakes import counting_castings, tiny_predictor, with_head


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


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """A registry of folders: 1 and 2 begin from one backbone, 3 from another."""
    one = tiny_predictor(11)  # whose backbone no other test holds
    versions = {"1": one, "2": with_head(one, 2), "3": tiny_predictor(13)}
    golden_N = torch.randint(0, 256, (4, 1, 32, 32), dtype=torch.uint8)
    for number, predictor in versions.items():
        version_folder.write(predictor, golden_N, tmp_path / number)
    monkeypatch.setattr(mlflow_registry, "_download", lambda version, _: tmp_path / version.number)
    source = RegistrySource("a", alias="current", number=None)
    monkeypatch.setattr(source, "find", lambda number: Version("a", number, "", {}))
    monkeypatch.setattr(source, "current", lambda: source.find("1"))
    return source


def bytes_of(modules):
    """What their tensors take, each counted once."""
    tensors = {id(t): t for m in modules for t in m.state_dict(keep_vars=True).values()}
    return sum(tensor.nbytes for tensor in tensors.values())


def test_versions_of_one_start_share_its_backbone_in_memory(registered):
    one, two, three = (registered.load(registered.find(number)) for number in "123")
    assert two.network.backbone is one.network.backbone
    assert three.network.backbone is not one.network.backbone
    assert two.space == one.space != three.space


def test_a_version_more_of_one_start_costs_its_head(registered):
    one = registered.load(registered.find("1")).network
    two = registered.load(registered.find("2")).network
    head = nn.ModuleList([*two.standardisations, *two.heads])
    assert bytes_of([one, two]) - bytes_of([one]) == bytes_of([head])
    gc.collect()
    live = [module for module in gc.get_objects() if type(module) is Backbone]
    sharing = [b for b in live if b.sha256 == one.backbone.sha256]
    assert len(sharing) == 1


def test_a_swap_to_a_version_of_the_same_start_runs_no_backbone(registered, monkeypatch):
    host = ModelHost(registered, pinned=2, max_minibatch=32, counters=Counters())
    with counting_castings() as runs:
        host.look()
        assert (len(runs), runs[0], runs[2]) == (3, 4, 32)  # golden castings, and the warm-up
        monkeypatch.setattr(registered, "current", lambda: registered.find("2"))
        host.look()
        assert host.current().version.number == "2"
        assert len(runs) == 3
        assert host.take("3").result(10).version.number == "3"
        assert len(runs) == 6
    host.close()


def test_a_backbone_goes_with_the_last_version_that_stands_on_it(registered):
    one, two = (registered.load(registered.find(number)) for number in "12")
    backbone = weakref.ref(one.network.backbone)
    del one
    gc.collect()
    three = registered.load(registered.find("1"))
    assert three.network.backbone is backbone()
    del two, three
    gc.collect()
    assert backbone() is None
