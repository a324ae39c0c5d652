"""Versions that are held because clients asked for them by number."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from models.network.device import use_threads
from models.prediction.predictor import Predictor
from models.registry.version import Version
from service.refusals import NotNow

RETRY_SECONDS = 5  # for a version that cannot be had just now


@dataclass(frozen=True)
class Served:
    """A version, ready to score, and since when."""

    version: Version
    predictor: Predictor
    since: datetime


class VersionCache:
    """At most `size` versions, the least recently used one goes first.

    One thread loads, one version at a time, each once, however many requests wait for it.
    """

    def __init__(self, size: int, load: Callable[[str], Served]) -> None:
        self._size = size
        self._load = load
        self._lock = threading.Lock()
        self._futures: OrderedDict[str, Future[Served]] = OrderedDict()
        self._loader = ThreadPoolExecutor(1, "load", use_threads, (1,))

    def take(self, number: str) -> "Future[Served]":
        """A version, loaded if need be; NotNow where too many are being loaded."""
        with self._lock:
            future = self._futures.get(number)
            new = future is None
            if future is None:
                loading = sum(not other.done() for other in self._futures.values())
                if loading > self._size:
                    raise NotNow(f"{loading} versions are loaded now", RETRY_SECONDS)
                future = self._futures[number] = self._loader.submit(self._load, number)
            self._futures.move_to_end(number)
        if new:  # outside the lock: of a future that is done already it runs here and now
            future.add_done_callback(lambda _: self._tidy())
        return future

    def release(self, number: str) -> Served | None:
        """Take a version out, waiting where it is being loaded; None where it is not held."""
        with self._lock:
            future = self._futures.pop(number, None)
        if future is None:
            return None
        try:
            return future.result()
        except Exception:  # noqa: BLE001 -- who asked for it is told; the next load says it again
            return None

    def held(self, number: str) -> Served | None:
        """A version, where it is loaded; that it was looked at is no use of it."""
        with self._lock:
            future = self._futures.get(number)
        return future.result() if future is not None and _loaded(future) else None

    def numbers(self) -> list[str]:
        """Those that are loaded, the least recently used first."""
        with self._lock:
            return [number for number, future in self._futures.items() if _loaded(future)]

    def close(self) -> None:
        """Load nothing more."""
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _tidy(self) -> None:
        """Drop what failed, so that it can be tried again, and what is more than fits.

        What is still loading counts once it is loaded.
        """
        with self._lock:
            failed = [n for n, f in self._futures.items() if f.done() and not _loaded(f)]
            loaded = [n for n, f in self._futures.items() if _loaded(f)]
            for number in failed + loaded[: max(0, len(loaded) - self._size)]:
                del self._futures[number]


def _loaded(future: "Future[Served]") -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
