"""Waiting for what is away for a while: a locked database, a full disk, a server that restarts.

Ledger and tracker are called through `retrying`: a call that fails for such a reason is made again,
with growing pauses, for `RETRY_SECONDS` seconds at most. Every call of theirs may be repeated, so
nothing is done twice.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from models.errors import OutageError

RETRY_SECONDS = 120.0  # seconds of waiting for one call
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0

_Adapter = TypeVar("_Adapter")
Reason = Callable[[Exception], str | None]
"""Why an error may go away by itself; None where it will not."""


def retrying(
    make: Callable[[], _Adapter],
    name: str,
    reason: Reason,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> _Adapter:
    """Make an adapter whose methods wait out what passes, as the making does.

    Once it has given up, it tries each further call only once, until one succeeds.

    Args:
        make: opens ledger or tracker, when it is first needed.
        name: what the user calls it.
        reason: tells outages from errors.
        say: told when the waiting begins.
        sleep: waits so many seconds.
        clock: tells the time in seconds.

    Raises:
        OutageError: by its methods, when `RETRY_SECONDS` is over.
    """
    return cast("_Adapter", _Patient(make, name, reason, say, sleep, clock))


@dataclass
class _Patient:
    make: Callable[[], object]
    name: str
    reason: Reason
    say: Callable[[str], None]
    sleep: Callable[[float], None]
    clock: Callable[[], float]
    patience: float = RETRY_SECONDS
    told: set[str] = field(default_factory=set)

    @functools.cached_property
    def adapter(self) -> object:
        """What is called, once it could be opened."""
        return self.call(self.make)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the adapter has
        method = getattr(self.adapter, name)
        return functools.wraps(method)(functools.partial(self.call, method))

    def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Call until it succeeds, fails for good, or patience is over."""
        began, pause = self.clock(), _FIRST_PAUSE
        while True:
            try:
                answer = method(*args, **kwargs)
            except Exception as error:
                why = self.reason(error)
                if why is None:
                    raise
                self._bear(why, self.clock() - began, error)
            else:
                self.patience = RETRY_SECONDS
                self.told.clear()  # the next outage is told again
                return answer
            self.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _bear(self, why: str, waited: float, error: Exception) -> None:
        """Say once that there is waiting to be done.

        Raises:
            OutageError: it has been waited for long enough.
        """
        if waited >= self.patience:
            self.patience = 0.0
            raise OutageError(
                f"{self.name} cannot be used: {why}. {waited:.0f} s were waited for it. "
                f"What is recorded stays: mend it and run the same command again"
            ) from error
        if why not in self.told:
            self.told.add(why)
            self.say(f"{self.name}: {why}; trying again for up to {self.patience:.0f} s")
