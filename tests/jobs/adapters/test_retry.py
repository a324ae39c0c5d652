from dataclasses import dataclass, field

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from jobs.adapters.retry import RETRY_SECONDS, retrying, why_away
from models.errors import CampaignError, OutageError, VersionError


@dataclass
class Clock:
    """Time that passes only by sleeping."""

    now: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def read(self) -> float:
        return self.now


@dataclass
class Shop:
    """An adapter that is closed until some time."""

    clock: Clock
    opens: float
    error: Exception = field(default_factory=lambda: OSError("No space left on device"))
    calls: int = 0

    def buy(self, what: str, *, many: int = 1) -> str:
        self.calls += 1
        if self.clock.now < self.opens:
            raise self.error
        return what * many


def _retried(shop: Shop, said: list[str]) -> Shop:
    clock = shop.clock
    return retrying(lambda: shop, "the shop", why_away, said.append, clock.sleep, clock.read)


def test_an_outage_of_a_minute_is_waited_out_and_said_once():
    said: list[str] = []
    shop = Shop(Clock(), opens=60.0)
    waited_out = _retried(shop, said)
    assert waited_out.buy("a", many=2) == "aa"
    assert shop.clock.now < 60 + 10
    assert said == ["the shop: No space left on device; trying again for up to 120 s"]
    shop.opens = shop.clock.now + 30
    waited_out.buy("a")
    assert len(said) == 2  # another outage is told again


def test_a_longer_one_is_an_error_within_the_stated_bound():
    shop = Shop(Clock(), opens=1e9)
    with pytest.raises(OutageError, match=r"the shop cannot be used: No space left on device\. 1"):
        _retried(shop, []).buy("a")
    assert RETRY_SECONDS <= shop.clock.now <= RETRY_SECONDS + 10


def test_after_giving_up_every_further_call_is_tried_once_until_one_succeeds():
    shop = Shop(Clock(), opens=1e9)
    given_up = _retried(shop, [])
    with pytest.raises(OutageError):
        given_up.buy("a")
    calls = shop.calls
    with pytest.raises(OutageError):
        given_up.buy("a")
    assert shop.calls == calls + 1
    shop.opens = 0
    assert given_up.buy("a") == "a"
    shop.opens = shop.clock.now + 30
    assert given_up.buy("a") == "a"


@pytest.mark.parametrize("error", [ValueError("no"), CampaignError("no"), KeyError("no")])
def test_what_will_not_go_away_is_raised_at_once(error: Exception):
    shop = Shop(Clock(), opens=1e9, error=error)
    with pytest.raises(type(error)):
        _retried(shop, []).buy("a")
    assert shop.clock.now == 0


def _operational(text: str) -> OperationalError:
    return OperationalError("INSERT", {}, Exception(text))


def _version_error(cause: Exception) -> VersionError:
    error = VersionError("it cannot be had")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (_operational("database is locked"), "database is locked"),
        (_operational("database or disk is full"), "database or disk is full"),
        (IntegrityError("INSERT", {}, Exception("UNIQUE")), None),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (ConnectionRefusedError("refused"), "refused"),
        (RuntimeError("a mistake"), None),
        (_operational("attempt to write a readonly database"), None),
        (_operational('connection failed: FATAL: database "casting" does not exist'), None),
        (FileExistsError(17, "File exists"), None),
        (PermissionError(13, "Permission denied"), None),
        (_version_error(FileExistsError(17, "File exists")), None),
        (_version_error(TimeoutError("timed out")), "it cannot be had"),
    ],
)
def test_outages_are_told_from_errors(error: Exception, reason: str | None):
    assert why_away(error) == reason
