"""The models that a worker holds: the current version, and a few that were asked for by number.

A new version is loaded, has proved itself and is warm before one reference is swapped; a request
finishes on the version that it took. Whatever happens to the registry, what is held is served.
"""

import contextlib
import ctypes
import gc
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple
from weakref import WeakSet

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from models.errors import VersionError, VersionNotFound, first_line
from models.network.backbone import Backbone
from models.network.device import use_threads
from models.prediction.predictor import Predictor
from models.registry.version import Version
from service.hosting.sources import Source
from service.hosting.version_cache import RETRY_SECONDS, Served, VersionCache
from service.metrics.counters import Counters
from service.refusals import NoSuchVersion, NotNow

REFUSED_FOR = timedelta(minutes=1)  # a version that failed its self-check is not loaded every look
_WARM_PASSES = 2
_OLDEST_GENERATION = 1000  # looks at the middle one between two at it

log = logging.getLogger("casting.host")


class RegistryState(BaseModel):
    """What the last look at the registry found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reachable: bool | None = Field(description="null where a folder is served")
    last_seen: datetime | None
    error: str | None = Field(description="why it is not the registry's choice that is served")


class _Refused(NamedTuple):
    version: Version
    until: datetime
    error: str


def _now() -> datetime:
    return datetime.now(UTC)


class ModelHost:
    """Holds versions and follows the registry; every method may be called from any thread.

    Args:
        source: where versions come from.
        pinned: how many versions may be held beside the current one.
        max_minibatch: a version scores one of so many castings before a client waits for it.
        counters: told of swaps, and of versions that are refused.
        clock: the time, in UTC.

    Attributes:
        served: the current version, None while there is none.
        registry: what the last look found.
    """

    def __init__(
        self,
        source: Source,
        pinned: int,
        max_minibatch: int,
        counters: Counters,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._source = source
        self._max_minibatch = max_minibatch
        self._counters = counters
        self._clock = clock
        self.served: Served | None = None
        self.registry = RegistryState(reachable=None, last_seen=None, error=None)
        self._refused: _Refused | None = None
        self._warm: WeakSet[nn.Module] = WeakSet()  # backbones that have been run
        self._looking = threading.Lock()
        self._closing = threading.Event()
        self._cache = VersionCache(pinned, self._find_and_load)
        self._looker = ThreadPoolExecutor(1, "look", use_threads, (1,))
        self._requested_look: Future[None] | None = None

    def start(self, poll_seconds: float) -> None:
        """Look once, so that a worker begins with its model, then keep looking in a thread."""
        self.look()
        if self._source.changes:
            poll = partial(self._poll, poll_seconds)
            threading.Thread(target=poll, name="registry-poll", daemon=True).start()
        else:
            _tidy_memory()

    def close(self) -> None:
        """Stop looking and loading."""
        self._closing.set()
        self._cache.close()
        self._looker.shutdown(wait=False, cancel_futures=True)

    @property
    def pinned(self) -> list[str]:
        """Numbers of the versions held beside the current one, the least recently used first."""
        return self._cache.numbers()

    def current(self) -> Served:
        """The current version; NotNow while there is none."""
        if self.served is None:
            reason = self.registry.error or "the registry has not answered yet"
            raise NotNow(f"no model is served: {reason}", RETRY_SECONDS)
        return self.served

    def take(self, number: str) -> "Future[Served]":
        """A version, loaded if need be; NoSuchVersion or NotNow, at once or in the future."""
        current = self.served
        if current is None or current.version.number != number:
            return self._cache.take(number)
        done: Future[Served] = Future()
        done.set_result(current)
        return done

    def look_now(self) -> "Future[None]":
        """Look, and try a refused version again: once for all who ask meanwhile."""
        if self._requested_look is None or self._requested_look.done():
            self._requested_look = self._looker.submit(self.look, insist=True)
        return self._requested_look

    def look(self, *, insist: bool = False) -> None:
        """Look at the registry now, and swap if it names another version.

        To insist is to try a version again that was refused a moment ago.
        """
        with self._looking:
            try:
                version = self._source.current()
            except VersionNotFound as error:
                self._answered(str(error))
            except Exception as error:  # noqa: BLE001 -- whatever a client library raises: go on
                if self.registry.reachable is not False:
                    log.warning("the registry is away: %s", first_line(error))
                away = {"reachable": False, "error": first_line(error)}
                self.registry = self.registry.model_copy(update=away)
            else:
                self._follow(version, insist=insist)
                self._drop_replaced()

    def _follow(self, version: Version, *, insist: bool) -> None:
        if self.served is not None and version.is_same(self.served.version):
            self._answered(None)
            return
        refused = None if insist else self._refused
        if refused and version.is_same(refused.version) and self._clock() < refused.until:
            self._answered(refused.error)
            return
        try:
            held = self._cache.release(version.number)
            held = held if held and version.is_same(held.version) else None
            self.served = replace(held, since=self._clock()) if held else self._load(version)
        except Exception as error:  # noqa: BLE001 -- a bad version must not end the good one
            reason = f"version {version.number} is refused: {first_line(error)}"
            if isinstance(error, VersionError):
                self._refused = _Refused(version, self._clock() + REFUSED_FOR, reason)
            self._answered(reason)
            self._counters.bad_versions.inc()
            log.warning("%s %s", self._source.name, reason)
        else:
            self._refused = None
            self._answered(None)
            self._counters.swaps.inc()
            log.info("%s version %s is served", self._source.name, version.number)

    def _drop_replaced(self) -> None:
        """Let go of versions in whose place the registry has others now, of the same number.

        That is what a registered model leaves that was deleted and made again.
        """
        for number in self.pinned if self._source.changes else ():
            with contextlib.suppress(Exception):  # one that is gone is held; the next look asks
                found, held = self._source.find(number), self._cache.held(number)
                if held is not None and not found.is_same(held.version):
                    self._cache.release(number)
                    log.warning("%s version %s is another one now", self._source.name, number)

    def _answered(self, error: str | None) -> None:
        reachable = True if self._source.changes else None
        self.registry = RegistryState(reachable=reachable, last_seen=self._clock(), error=error)

    def _poll(self, seconds: float) -> None:
        use_threads(1)  # castings are scored while it loads and warms
        tidied, untidy = self.served, True
        while not self._closing.wait(seconds):
            self.look()
            if self.served is not tidied:  # a look later nobody uses the old version any more
                tidied, untidy = self.served, True
            elif untidy:
                untidy = False
                _tidy_memory()

    def _find_and_load(self, number: str) -> Served:
        served = self.served.version.number if self.served else None
        try:
            return self._load(self._source.find(number))
        except VersionNotFound as error:
            raise NoSuchVersion(str(error), served=served, asked=number) from error
        except Exception as error:
            reason = f"version {number} cannot be loaded: {first_line(error)}"
            raise NotNow(reason, RETRY_SECONDS) from error

    def _load(self, version: Version) -> Served:
        predictor = self._source.load(version)
        self._warm_up(predictor)
        return Served(version, predictor, self._clock())

    def _warm_up(self, predictor: Predictor) -> None:
        """Pay the first call's memory layout and kernel choices before a client waits for them.

        That is done once for versions that share their backbones: what is behind those costs
        nothing the first time.
        """
        form, backbones = predictor.preprocessing, list(predictor.network.backbones)
        if self._warm.issuperset(backbones):
            return
        blank = torch.zeros(self._max_minibatch, form.channels, form.size, form.size).byte()
        for castings in (1, self._max_minibatch):
            predictor.score(blank[:castings], _WARM_PASSES, seed=0)
        # those for inference, that is: of others it is a twin that has been run
        self._warm.update(b for b in backbones if isinstance(b, Backbone) and b.sha256)


def _tidy_memory() -> None:
    """Return what a swap has freed; glibc keeps it otherwise, as much as several models take.

    What is left is there to stay, all of torch and MLflow: the garbage collector passes it over,
    or a look at it would hold every request for a tenth of a second, again and again. So would a
    look at what BentoML's timers keep of the requests of the last minute, which frees itself; the
    oldest generation is looked at a hundred times less often than Python would.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], _OLDEST_GENERATION)
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
