import gc
import threading
import time
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from models.errors import VersionError
from models.prediction.predictor import Predictor
from service.hosting.model_host import REFUSED_FOR, ModelHost, _tidy_memory
from service.metrics.counters import Counters
from service.refusals import NoSuchVersion, NotNow
from tests.processes import eventually
from tests.service.fakes import FakeRegistry, as_loaded, counting_castings, with_head

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(registry: FakeRegistry, clock: Clock) -> Iterator[ModelHost]:
    host = ModelHost(registry, 2, max_minibatch=32, counters=Counters(), clock=clock)
    host.look()
    yield host
    registry.may_load.set()
    host.close()


def number(host: ModelHost) -> str:
    return host.current().version.number


def test_serves_what_the_alias_points_at_and_follows_it(registry, host, clock):
    first = host.current()
    assert (first.version.number, first.since) == ("1", START)
    registry.alias = "2"
    clock.now += timedelta(hours=1)
    host.look()
    assert number(host) == "2"
    assert host.current().since == clock.now
    assert first.predictor is registry.predictors["1"]  # what a request took stays whole


def test_a_version_has_scored_one_casting_and_a_full_minibatch_before_it_is_served(
    registry, monkeypatch
):
    sizes = []
    monkeypatch.setattr(
        Predictor, "score", lambda _, pixels_N, passes, seed: sizes.append(len(pixels_N))
    )
    host = ModelHost(registry, pinned=2, max_minibatch=5, counters=Counters())
    host.look()
    assert sizes == [1, 5]
    host.close()


def test_a_backbone_that_another_version_has_warmed_is_not_run_again(registry, host):
    one = as_loaded(registry.predictors["1"])
    registry.predictors |= {"5": one, "6": with_head(one, 6), "7": as_loaded(one)}
    with counting_castings() as runs:
        registry.alias = "5"
        host.look()
        assert (len(runs), runs[-1]) == (2, 32)
        registry.alias = "6"
        host.look()
        assert host.take("7").result(10).predictor.network.backbone is one.network.backbone
        assert len(runs) == 2
        registry.alias = "2"
        host.look()
    assert len(runs) == 4
    assert number(host) == "2"


def test_a_backbone_that_nobody_serves_any_more_is_not_held(registry, host):
    registry.predictors["5"] = as_loaded(registry.predictors["1"])
    registry.alias = "5"
    host.look()
    backbone = weakref.ref(registry.predictors.pop("5").network.backbone)
    registry.alias = "2"
    host.look()
    gc.collect()
    assert backbone() is None


def test_looking_again_loads_nothing(registry, host):
    host.look()
    assert registry.loads == ["1"]


def test_a_version_that_fails_its_self_check_is_refused_and_the_old_one_goes_on(registry, host):
    registry.alias = "2"
    registry.failing["2"] = VersionError("fails its self-check: off by 0.4\nSQL")
    host.look()
    assert number(host) == "1"
    assert host.registry.reachable is True
    assert host.registry.error == "version 2 is refused: fails its self-check: off by 0.4"


@pytest.mark.parametrize("credentials", ["bob:geheim", "bob:ge@heim", ":geheim", "geheim"])
def test_a_password_in_the_registrys_address_is_not_passed_on(registry, host, caplog, credentials):
    registry.down = ConnectionError(f"no answer from http://{credentials}@mlflow:5000/api, retry")
    host.look()
    assert host.registry.error == "no answer from http://***@mlflow:5000/api, retry"
    with pytest.raises(NotNow) as refusal:
        host.take("2").result(10)
    assert "heim" not in str(refusal.value)
    assert "mlflow:5000" in caplog.text
    assert "heim" not in caplog.text


def test_a_refused_version_is_not_loaded_at_every_look(registry, host, clock):
    registry.alias = "2"
    registry.failing["2"] = VersionError("damaged")
    host.look()
    host.look()
    assert registry.loads == ["1", "2"]
    assert host.registry.error == "version 2 is refused: damaged"
    clock.now += REFUSED_FOR
    host.look()
    assert registry.loads == ["1", "2", "2"]


def test_a_reload_tries_a_refused_version_again(registry, host):
    registry.alias = "2"
    registry.failing["2"] = VersionError("damaged")
    host.look()
    del registry.failing["2"]
    host.look(insist=True)
    assert number(host) == "2"
    assert host.registry.error is None


def test_a_download_that_fails_is_tried_again_at_the_next_look(registry, host):
    registry.alias = "2"
    registry.failing["2"] = ConnectionError("reset")
    host.look()
    assert number(host) == "1"
    del registry.failing["2"]
    host.look()
    assert number(host) == "2"


def test_a_registry_that_is_down_changes_nothing_but_the_report(registry, host, clock):
    registry.down = ConnectionError("refused")
    clock.now += timedelta(hours=1)
    host.look()
    assert number(host) == "1"
    state = host.registry
    assert (state.reachable, state.last_seen, state.error) == (False, START, "refused")
    registry.down = None
    host.look()
    assert (host.registry.reachable, host.registry.error) == (True, None)


def test_an_alias_that_is_taken_away_changes_nothing_but_the_report(registry, host):
    registry.alias = None
    host.look()
    assert number(host) == "1"
    assert host.registry.error == "casting-defects has no version with the alias current"


def test_without_a_current_version_there_is_no_default_but_pinned_versions_are_had(registry):
    registry.alias = None
    host = ModelHost(registry, pinned=1, max_minibatch=32, counters=Counters())
    host.look()
    with pytest.raises(NotNow, match=r"no model is served: .* alias current"):
        host.current()
    assert host.served is None
    assert host.take("3").result(10).version.number == "3"
    host.close()


def test_the_current_version_asked_by_number_is_not_loaded_twice(registry, host):
    assert host.take("1").result(0) is host.current()
    assert registry.loads == ["1"]


def test_who_asks_for_a_look_while_one_is_awaited_shares_it(registry, host):
    registry.alias = "2"
    registry.may_load.clear()
    looks = {id(host.look_now()) for _ in range(20)}
    registry.may_load.set()
    host.look_now().result(10)
    assert len(looks) == 1
    assert number(host) == "2"


def test_concurrent_requests_for_one_version_load_it_once(registry, host):
    registry.may_load.clear()
    futures = [host.take("2") for _ in range(5)]
    registry.may_load.set()
    assert len({id(future.result(10)) for future in futures}) == 1
    assert registry.loads == ["1", "2"]


def test_an_unknown_version_is_named_with_the_one_that_is_served(host):
    with pytest.raises(NoSuchVersion) as refusal:
        host.take("9").result(10)
    assert refusal.value.extra == {"served": "1", "asked": "9"}


def test_a_pinned_version_that_could_not_be_loaded_is_tried_again(registry, host):
    registry.failing["2"] = ConnectionError("reset")
    with pytest.raises(NotNow, match="version 2 cannot be loaded: reset"):
        host.take("2").result(10)
    del registry.failing["2"]
    assert eventually(lambda: host.take("2").result(10).version.number == "2")


def test_a_pinned_version_that_becomes_current_is_not_loaded_again(registry, host):
    pinned = host.take("2").result(10)
    registry.alias = "2"
    host.look()
    assert host.current().predictor is pinned.predictor
    assert registry.loads == ["1", "2"]
    assert host.pinned == []


def test_polling_follows_the_alias_and_survives_whatever_the_registry_raises(
    registry, monkeypatch
):
    host = ModelHost(registry, pinned=2, max_minibatch=32, counters=Counters())
    tidied = []
    monkeypatch.setattr(
        "service.hosting.model_host._tidy_memory", lambda: tidied.append(number(host))
    )
    registry.down = RuntimeError("")
    host.start(poll_seconds=0.01)
    assert host.registry.error == "RuntimeError"
    registry.down = None
    assert eventually(lambda: host.served is not None)
    registry.alias = "2"
    assert eventually(lambda: number(host) == "2")
    assert eventually(lambda: tidied[-1:] == ["2"])  # once nobody uses the old version any more
    host.close()
    assert eventually(lambda: "registry-poll" not in {t.name for t in threading.enumerate()})


def test_a_folder_is_not_polled_and_has_no_registry(registry, monkeypatch):
    registry.changes = False
    host = ModelHost(registry, pinned=2, max_minibatch=32, counters=Counters())
    tidied = []
    monkeypatch.setattr(
        "service.hosting.model_host._tidy_memory", lambda: tidied.append(number(host))
    )
    host.start(poll_seconds=0.01)
    assert tidied == ["1"]
    assert "registry-poll" not in {t.name for t in threading.enumerate()}
    assert host.registry.reachable is None
    host.close()


def test_the_garbage_collector_passes_over_what_stays_and_what_is_kept_for_a_while():
    thresholds = gc.get_threshold()
    try:
        _tidy_memory()
        assert gc.get_freeze_count() > 10_000
        looks = gc.get_stats()[-1]["collections"]
        kept = [[index] for index in range(500_000)]  # as BentoML keeps requests for a minute
        assert gc.get_stats()[-1]["collections"] == looks
        del kept
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def test_a_version_that_is_being_loaded_when_it_becomes_current_is_loaded_once(registry, host):
    registry.may_load.clear()
    pinned = host.take("2")
    registry.alias = "2"
    looking = host.look_now()
    time.sleep(0.05)
    registry.may_load.set()
    looking.result(10)
    assert host.current().predictor is pinned.result(10).predictor
    assert registry.loads == ["1", "2"]
