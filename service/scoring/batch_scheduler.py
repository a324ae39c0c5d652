"""Castings that wait share small minibatches, one per core at a time.

By hand, since BentoML's adaptive batching merges requests whatever their version, passes and seed,
does not keep their order, and sheds load once it thinks that a latency will be missed.

Requests share minibatches whatever their passes and seed, those of one version with one another;
each finds its own castings' rows again. A minibatch has one thread: threads that share one wait
for one another at every layer, and for long where other programs run. On one thread a casting
costs the same in a minibatch of eight as of sixty-four, and small ones let the answers of one be
sent while the next is computed. Its thread does everything from bytes to rows, so that a request
is handed from thread to thread once. A lone casting has all cores.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from models.network.device import use_threads
from models.prediction.predictor import Predictor
from service.scoring.minibatch import ChunkResult
from service.scoring.request import Chunk

MAX_MINIBATCH = 32  # castings

Compute = Callable[[Predictor, Sequence[Chunk]], Sequence[ChunkResult]]


@dataclass(frozen=True, eq=False)
class _Waiting:
    predictor: Predictor
    chunk: Chunk
    result: "asyncio.Future[ChunkResult]"

    @property
    def castings(self) -> int:
        return len(self.chunk.images)


class BatchScheduler:
    """Runs minibatches; used from one event loop at a time.

    Args:
        compute: gives the results of chunks, in their order; called in a thread.
    """

    def __init__(self, compute: Compute) -> None:
        self.cores = torch.get_num_threads()
        self._compute = compute
        self._one_core_each = ThreadPoolExecutor(self.cores, "minibatch", use_threads, (1,))
        self._all_cores = ThreadPoolExecutor(1, "alone", use_threads, (self.cores,))
        self._queue: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, predictor: Predictor, chunks: Sequence[Chunk]) -> list[ChunkResult]:
        """The results of chunks of at most `MAX_MINIBATCH` castings each, in their order."""
        loop = asyncio.get_running_loop()
        entries = [_Waiting(predictor, chunk, loop.create_future()) for chunk in chunks]
        self._queue.extend(entries)
        self._start()
        try:
            return await asyncio.gather(*(entry.result for entry in entries))
        finally:  # who goes away, or has failed, does not have the rest computed
            for entry in entries:
                entry.result.cancel()
            if any(entry.result.cancelled() for entry in entries):
                self._queue = deque(entry for entry in self._queue if not entry.result.done())

    def close(self) -> None:
        """Finish the minibatches that are run and take nothing more."""
        for threads in (self._one_core_each, self._all_cores):
            threads.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        """Give every free core a minibatch, as long as a chunk waits."""
        while len(self._running) < self.cores and (entries := self._next()):
            alone = not self._running and not self._queue
            minibatch = asyncio.get_running_loop().create_task(self._run(entries, alone=alone))
            self._running.add(minibatch)
            minibatch.add_done_callback(self._ended)

    def _ended(self, minibatch: "asyncio.Task[None]") -> None:
        self._running.discard(minibatch)
        self._start()

    def _next(self) -> list[_Waiting]:
        """Those who have waited longest for one model, a fair share of all for this core."""
        queue = list(self._queue)
        if not queue:
            return []
        castings = sum(entry.castings for entry in queue)
        most = min(MAX_MINIBATCH, -(-castings // (self.cores - len(self._running))))
        entries: list[_Waiting] = []
        left: deque[_Waiting] = deque()
        taken = 0
        for entry in queue:
            shares = entry.predictor is queue[0].predictor and taken + entry.castings <= most
            if shares or not entries:
                entries.append(entry)
                taken += entry.castings
            else:
                left.append(entry)
        self._queue = left
        return entries

    async def _run(self, entries: Sequence[_Waiting], *, alone: bool) -> None:
        """Run a minibatch of one model, and give each chunk its result."""
        threads = self._all_cores if alone else self._one_core_each
        predictor, chunks = entries[0].predictor, [entry.chunk for entry in entries]
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(threads, self._compute, predictor, chunks)
        except Exception as error:  # noqa: BLE001 -- it goes to those who asked; others go on
            for entry in entries:
                if not entry.result.done():
                    entry.result.set_exception(error)
            return
        for entry, result in zip(entries, results, strict=True):
            if not entry.result.done():
                entry.result.set_result(result)
