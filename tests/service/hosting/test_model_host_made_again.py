"""A registered model that was deleted and made again has other versions of the same numbers."""

from collections.abc import Iterator

import pytest

from models.errors import VersionError
from service.hosting.model_host import ModelHost
from service.metrics.counters import Counters
from tests.service.fakes import FakeRegistry


@pytest.fixture
def host(registry: FakeRegistry) -> Iterator[ModelHost]:
    host = ModelHost(registry, 2, max_minibatch=32, counters=Counters())
    host.look()
    yield host
    host.close()


def make_again(registry: FakeRegistry, number: str) -> None:
    """Another version of that number, of another run."""
    registry.predictors[number] = registry.predictors["3"]
    registry.runs[number] = f"another-run-{number}"


def test_the_current_version_is_another_one_of_the_same_number(registry, host):
    first = host.current()
    make_again(registry, "1")
    host.look()
    assert host.current().version.number == first.version.number == "1"
    assert host.current().version.run_id == "another-run-1"
    assert host.current().predictor is registry.predictors["3"]


def test_a_version_held_by_number_is_loaded_again_when_it_is_another_one(registry, host):
    assert host.take("2").result(10).version.run_id == "run-2"
    host.look()
    assert host.pinned == ["2"]
    make_again(registry, "2")
    host.look()
    assert host.pinned == []
    assert host.take("2").result(10).version.run_id == "another-run-2"


def test_a_version_held_by_number_does_not_become_current_for_another_one(registry, host):
    host.take("2").result(10)
    make_again(registry, "2")
    registry.alias = "2"
    host.look()
    assert host.current().version.run_id == "another-run-2"


def test_a_version_held_by_number_stays_where_it_was_deleted(registry, host):
    held = host.take("2").result(10)
    del registry.predictors["2"]
    host.look()
    assert host.take("2").result(10) is held


def test_a_version_made_again_is_not_refused_for_the_one_before(registry, host):
    registry.failing["2"] = VersionError("damaged")
    registry.alias = "2"
    host.look()
    assert host.registry.error == "version 2 is refused: damaged"
    make_again(registry, "2")
    registry.failing.clear()
    host.look()
    assert host.current().version.run_id == "another-run-2"
