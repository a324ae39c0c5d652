"""The trunk in lanes, one a core: each takes what waits, in small shared minibatches.

Requests share minibatches whatever their passes and seed, those of one version with one another;
each finds its own castings' features again. A lane has one thread: threads that share a minibatch
wait for one another at every layer, and for long where other programs run. On one thread a casting
costs the same in a minibatch of eight as of sixty-four, and small ones let the answers of one lane
be written while the other computes. A lone casting has all cores.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from models.network import use_threads
from models.predictor import Predictor

SHARED = 32  # castings of a minibatch

OnMinibatch = Callable[[int], object]


@dataclass(frozen=True)
class _Ask:
    predictor: Predictor
    pixels_N: Tensor
    features_N_F: "asyncio.Future[Tensor]"


class Lanes:
    """Runs the trunk; used from one event loop at a time.

    Args:
        on_minibatch: told the number of castings of each minibatch that is run.
    """

    def __init__(self, on_minibatch: OnMinibatch = lambda _: None) -> None:
        self._cores = torch.get_num_threads()
        self._lanes = ThreadPoolExecutor(self._cores, "trunk", use_threads, (1,))
        self._all_cores = ThreadPoolExecutor(1, "alone", use_threads, (self._cores,))
        self._waiting: deque[_Ask] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._on_minibatch = on_minibatch

    async def embed(self, predictor: Predictor, pixels_N: Tensor) -> Tensor:
        """Features `[N, F]` of decoded castings."""
        loop = asyncio.get_running_loop()
        asks = [_Ask(predictor, some, loop.create_future()) for some in pixels_N.split(SHARED)]
        self._waiting.extend(asks)
        self._start()
        try:
            return torch.cat(await asyncio.gather(*(ask.features_N_F for ask in asks)))
        finally:  # who goes away, or has failed, does not have the rest computed
            for ask in asks:
                ask.features_N_F.cancel()

    def close(self) -> None:
        """Finish the minibatches that are run and take nothing more."""
        for threads in (self._lanes, self._all_cores):
            threads.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        """Give every free lane a minibatch, as long as somebody waits."""
        while len(self._running) < self._cores and (asks := self._next()):
            alone = not self._running and not self._waiting
            lane = asyncio.get_running_loop().create_task(self._run(asks, alone=alone))
            self._running.add(lane)
            lane.add_done_callback(self._freed)

    def _freed(self, lane: "asyncio.Task[None]") -> None:
        self._running.discard(lane)
        self._start()

    def _next(self) -> list[_Ask]:
        """Those who have waited longest for one model, a fair share of all for this lane."""
        waiting = [ask for ask in self._waiting if not ask.features_N_F.done()]
        if not waiting:
            self._waiting.clear()
            return []
        castings = sum(len(ask.pixels_N) for ask in waiting)
        most = min(SHARED, -(-castings // (self._cores - len(self._running))))
        asks: list[_Ask] = []
        left: deque[_Ask] = deque()
        taken = 0
        for ask in waiting:
            shares = ask.predictor is waiting[0].predictor and taken + len(ask.pixels_N) <= most
            if shares or not asks:
                asks.append(ask)
                taken += len(ask.pixels_N)
            else:
                left.append(ask)
        self._waiting = left
        return asks

    async def _run(self, asks: Sequence[_Ask], *, alone: bool) -> None:
        """Run castings of one model, and give each who asked their own."""
        threads = self._all_cores if alone else self._lanes
        loop = asyncio.get_running_loop()
        try:
            pixels_N = torch.cat([ask.pixels_N for ask in asks])
            self._on_minibatch(len(pixels_N))
            features_N_F = await loop.run_in_executor(threads, asks[0].predictor.embed, pixels_N)
        except Exception as error:  # noqa: BLE001 -- it goes to those who asked; lanes go on
            for ask in asks:
                if not ask.features_N_F.done():
                    ask.features_N_F.set_exception(error)
            return
        sizes = [len(ask.pixels_N) for ask in asks]
        for ask, features in zip(asks, features_N_F.split(sizes), strict=True):
            if not ask.features_N_F.done():
                ask.features_N_F.set_result(features)
