"""Waiting for what is away for a while: a locked database, a full disk, a server that restarts.

Ledger and tracker are called through `retrying`; every call of theirs may be repeated.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from models.errors import OutageError, VersionError, first_line

RETRY_SECONDS = 120.0  # seconds of waiting for one call
_LASTING = (
    "unable to open database file",
    "readonly database",
    "no such column",
    "no such table",
    "does not exist",  # a PostgreSQL database, role or table
    "authentication failed",
    "out-of-date database schema",
)
_Adapter = TypeVar("_Adapter")
Reason = Callable[[BaseException], str | None]
"""Why an error may go away by itself; None where it will not."""


def retrying(
    make: Callable[[], _Adapter],
    name: str,
    reason: Reason,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> _Adapter:
    """An adapter, made when it is first needed, whose methods wait out what passes.

    They call again, with growing pauses, for `RETRY_SECONDS` at most, then raise OutageError. Once
    it has given up, it tries each further call only once, until one succeeds.
    """
    return cast("_Adapter", _Proxy(make, name, reason, say, sleep, clock))


@dataclass
class _Proxy:
    make: Callable[[], object]
    name: str
    reason: Reason
    say: Callable[[str], None]
    sleep: Callable[[float], None]
    clock: Callable[[], float]
    limit: float = RETRY_SECONDS
    told: set[str] = field(default_factory=set)

    @functools.cached_property
    def adapter(self) -> object:
        return self.call(self.make)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the adapter has
        method = getattr(self.adapter, name)
        return functools.wraps(method)(functools.partial(self.call, method))

    def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        began = self.clock()
        answer = Retrying(
            retry=retry_if_exception(lambda error: self.reason(error) is not None),
            wait=wait_exponential(0.5, max=10),
            before_sleep=lambda state: self._tell_or_give_up(failure(state), self.clock() - began),
            sleep=self.sleep,
        )(method, *args, **kwargs)
        self.limit = RETRY_SECONDS
        self.told.clear()  # the next outage is told again
        return answer

    def _tell_or_give_up(self, error: BaseException, waited: float) -> None:
        why = str(self.reason(error))
        if waited >= self.limit:
            self.limit = 0.0
            raise OutageError(
                f"{self.name} cannot be used: {why}. {waited:.0f} s were waited for it. "
                f"What is recorded stays: mend it and run the same command again"
            ) from error
        if why not in self.told:
            self.told.add(why)
            self.say(f"{self.name}: {why}; trying again for up to {self.limit:.0f} s")


def failure(state: RetryCallState) -> BaseException:
    """What the latest attempt failed with."""
    return cast("BaseException", state.outcome and state.outcome.exception())


def why_away(error: BaseException) -> str | None:
    """Why a database or a disk may be back soon: busy, full, gone; None for real errors."""
    match error:
        case DBAPIError() if isinstance(error, OperationalError | InterfaceError):
            return unless_lasting(first_line(error.orig or error))
        case VersionError() if isinstance(error.__cause__, OSError):  # its files, not itself
            return why_away(error.__cause__) and first_line(error)
        case FileExistsError() | NotADirectoryError() | IsADirectoryError() | PermissionError():
            return None  # nobody but the user can mend it
        case OSError():  # a full disk, a connection that broke
            return first_line(error)
    return None


def unless_lasting(reason: str) -> str | None:
    """The reason, unless it is one that stays until somebody mends it."""
    return None if any(words in reason for words in _LASTING) else reason
