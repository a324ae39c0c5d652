"""Castings in lanes, one a core: each takes what waits, in small shared minibatches.

Requests share minibatches whatever their passes and seed, those of one version with one another;
each finds its own castings' rows again. A lane has one thread: threads that share a minibatch
wait for one another at every layer, and for long where other programs run. On one thread a casting
costs the same in a minibatch of eight as of sixty-four, and small ones let the answers of one lane
be sent while the other computes. A lane does everything from bytes to rows, so that a request is
handed from thread to thread once. A lone casting has all cores.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from models.network.device import use_threads
from models.prediction.predictor import Predictor
from service.scoring.minibatch import Part, Question

SHARED = 32  # castings of a minibatch

Work = Callable[[Predictor, Sequence[Question]], Sequence[Part]]


@dataclass(frozen=True, eq=False)
class _Ask:
    predictor: Predictor
    question: Question
    part: "asyncio.Future[Part]"

    @property
    def castings(self) -> int:
        return len(self.question.images)


class BatchScheduler:
    """Runs minibatches; used from one event loop at a time.

    Args:
        work: computes the parts of questions, in their order.
    """

    def __init__(self, work: Work) -> None:
        self.count = torch.get_num_threads()
        self._work = work
        self._scheduler = ThreadPoolExecutor(self.count, "lane", use_threads, (1,))
        self._all_cores = ThreadPoolExecutor(1, "alone", use_threads, (self.count,))
        self._waiting: deque[_Ask] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def ask(self, predictor: Predictor, questions: Sequence[Question]) -> list[Part]:
        """What becomes of questions of at most `SHARED` castings each, in their order."""
        loop = asyncio.get_running_loop()
        asks = [_Ask(predictor, question, loop.create_future()) for question in questions]
        self._waiting.extend(asks)
        self._start()
        try:
            return await asyncio.gather(*(ask.part for ask in asks))
        finally:  # who goes away, or has failed, does not have the rest computed
            for ask in asks:
                ask.part.cancel()
            if any(ask.part.cancelled() for ask in asks):
                self._waiting = deque(ask for ask in self._waiting if not ask.part.done())

    def close(self) -> None:
        """Finish the minibatches that are run and take nothing more."""
        for threads in (self._scheduler, self._all_cores):
            threads.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        """Give every free lane a minibatch, as long as somebody waits."""
        while len(self._running) < self.count and (asks := self._next()):
            alone = not self._running and not self._waiting
            lane = asyncio.get_running_loop().create_task(self._run(asks, alone=alone))
            self._running.add(lane)
            lane.add_done_callback(self._freed)

    def _freed(self, lane: "asyncio.Task[None]") -> None:
        self._running.discard(lane)
        self._start()

    def _next(self) -> list[_Ask]:
        """Those who have waited longest for one model, a fair share of all for this lane."""
        waiting = list(self._waiting)
        if not waiting:
            return []
        castings = sum(ask.castings for ask in waiting)
        most = min(SHARED, -(-castings // (self.count - len(self._running))))
        asks: list[_Ask] = []
        left: deque[_Ask] = deque()
        taken = 0
        for ask in waiting:
            shares = ask.predictor is waiting[0].predictor and taken + ask.castings <= most
            if shares or not asks:
                asks.append(ask)
                taken += ask.castings
            else:
                left.append(ask)
        self._waiting = left
        return asks

    async def _run(self, asks: Sequence[_Ask], *, alone: bool) -> None:
        """Run castings of one model, and give each who asked their own."""
        threads = self._all_cores if alone else self._scheduler
        questions = [ask.question for ask in asks]
        loop = asyncio.get_running_loop()
        try:
            parts = await loop.run_in_executor(threads, self._work, asks[0].predictor, questions)
        except Exception as error:  # noqa: BLE001 -- it goes to those who asked; lanes go on
            for ask in asks:
                if not ask.part.done():
                    ask.part.set_exception(error)
            return
        for ask, part in zip(asks, parts, strict=True):
            if not ask.part.done():
                ask.part.set_result(part)
