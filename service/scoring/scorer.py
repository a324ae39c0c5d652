"""Where castings are computed: off the event loop, by threads of its own."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from models.network.device import use_threads
from models.prediction.predictor import Answer, Predictor
from service.hosting.version_cache import Served
from service.metrics.counters import Counters
from service.refusals import BadInput, NotNow
from service.scoring.batch_scheduler import SHARED, BatchScheduler
from service.scoring.encoding import body
from service.scoring.minibatch import Part, Question, answer_together, questions
from service.scoring.request import ScoreRequest

_RETRY_SECONDS = 1

T = TypeVar("T")


class Scorer:
    """The threads of a worker, and the line before them."""

    def __init__(self, max_waiting: int, max_pixels: int, counters: Counters) -> None:
        self._max_waiting = max_waiting
        self._max_pixels = max_pixels
        self._counters = counters
        self._inside = 0
        self._scheduler = BatchScheduler(self._minibatch)
        self._threads = ThreadPoolExecutor(self._scheduler.count, "compute", use_threads, (1,))
        self._free = asyncio.Semaphore(self._scheduler.count)

    @property
    def waiting(self) -> int:
        """Requests behind the one that is computed."""
        return max(0, self._inside - 1)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the line, from the first byte of a request's body to its answer.

        Called on the event loop only, hence without a lock.

        Raises:
            NotNow: the line is full.
        """
        if self._inside > self._max_waiting:
            raise NotNow(f"{self._max_waiting} requests are waiting already", _RETRY_SECONDS)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def score(
        self, served: Served, request: ScoreRequest, *, binary: bool
    ) -> tuple[bytes, list[Answer]]:
        """The body of the answer to a request, and the rows in it.

        Raises:
            BadInput: some images cannot be read; it lists every one of them.
        """
        asked = questions(request, self._scheduler.count, SHARED)
        parts = await self._scheduler.ask(served.predictor, asked)
        bad = [image for part in parts for image in part.bad]
        if bad:
            raise BadInput(f"{len(bad)} of {len(request.images)} images cannot be read", bad)
        rows = [row for part in parts for row in part.rows]
        included = [part.included for part in parts]
        write = partial(body, served, request, rows, included, binary=binary)
        short = len(parts) == 1 and not request.include
        return write() if short else await self.compute(write), rows

    async def compute(self, work: Callable[[], T]) -> T:
        """Run something in a thread that computes.

        Who waits for one waits here, where going away lets go of all that the work would hold.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        running = self._threads.submit(work)
        running.add_done_callback(lambda _: loop.call_soon_threadsafe(self._free.release))
        return await asyncio.wrap_future(running)

    def close(self) -> None:
        """Finish what is being computed and take nothing more."""
        self._scheduler.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _minibatch(self, predictor: Predictor, asked: Sequence[Question]) -> list[Part]:
        self._counters.minibatch(sum(len(question.images) for question in asked))
        return answer_together(predictor, asked, self._max_pixels, self._timed)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self._counters.stage(stage, time.monotonic() - start)
