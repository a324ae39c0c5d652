import threading
from concurrent.futures import wait
from datetime import UTC, datetime

import pytest

from models.registry.version import Version
from service.hosting.version_cache import RETRY_SECONDS, Served, VersionCache
from service.refusals import NotNow
from tests.processes import eventually


class Loader:
    """Loads versions by number once it may, and remembers which."""

    def __init__(self):
        self.loads = []
        self.failing = {}
        self.may = threading.Event()
        self.may.set()

    def __call__(self, number):
        self.loads.append(number)
        assert self.may.wait(10)
        if number in self.failing:
            raise self.failing[number]
        return Served(Version("casting-defects", number, "", {}), None, datetime.now(UTC))


@pytest.fixture
def load():
    return Loader()


@pytest.fixture
def cache_of(load):
    caches = []

    def make(size):
        caches.append(VersionCache(size, load))
        return caches[-1]

    yield make
    load.may.set()
    for cache in caches:
        cache.close()


def test_the_least_recently_used_version_goes_first(cache_of, load):
    cache = cache_of(2)
    for number in ("2", "3", "2", "4"):
        assert cache.take(number).result(10).version.number == number
    assert eventually(lambda: cache.numbers() == ["2", "4"])
    assert load.loads == ["2", "3", "4"]


def test_no_version_is_kept_where_none_may_be(cache_of):
    cache = cache_of(0)
    assert cache.take("2").result(10).version.number == "2"
    assert eventually(lambda: cache.numbers() == [])


def test_no_more_versions_are_loaded_at_a_time_than_may_be_kept_and_one(cache_of, load):
    cache = cache_of(2)
    load.may.clear()
    loading = [cache.take(number) for number in ("2", "3", "4")]
    with pytest.raises(NotNow, match="3 versions are loaded now") as refusal:
        cache.take("5").result(0)
    assert refusal.value.retry_after == RETRY_SECONDS
    assert cache.numbers() == []
    load.may.set()
    assert [future.result(10).version.number for future in loading] == ["2", "3", "4"]


def test_a_version_is_loaded_once_however_many_wait_for_it(cache_of, load):
    cache = cache_of(2)
    load.may.clear()
    futures = [cache.take("2") for _ in range(5)]
    load.may.set()
    assert len({id(future.result(10)) for future in futures}) == 1
    assert load.loads == ["2"]


def test_what_failed_is_tried_again(cache_of, load):
    cache = cache_of(2)
    load.failing["2"] = NotNow("reset", RETRY_SECONDS)
    failed = cache.take("2")
    wait([failed], 10)
    del load.failing["2"]
    assert eventually(lambda: cache.take("2").exception(10) is None)
    assert failed.exception() is not None
    assert set(load.loads) == {"2"}


def test_a_version_that_is_released_is_held_no_longer(cache_of, load):
    cache = cache_of(2)
    pinned = cache.take("2").result(10)
    assert cache.release("2") is pinned
    assert cache.numbers() == []
    assert cache.release("2") is None


def test_what_is_being_loaded_is_waited_for_when_it_is_released(cache_of, load):
    cache = cache_of(2)
    load.may.clear()
    loading = cache.take("2")
    threading.Timer(0.05, load.may.set).start()
    assert cache.release("2") is loading.result(0)


def test_what_could_not_be_loaded_is_not_there_to_be_released(cache_of, load):
    cache = cache_of(2)
    load.failing["2"] = ValueError("damaged")
    load.may.clear()
    cache.take("2")
    threading.Timer(0.05, load.may.set).start()
    assert cache.release("2") is None
