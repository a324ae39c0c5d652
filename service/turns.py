"""The trunk in turns: what has come in during one turn shares the minibatches of the next.

Requests share minibatches whatever their passes, seed or version; each finds its own castings'
features again. A turn is divided among the cores, a minibatch to each, with one thread: threads
that share a minibatch wait for one another at every layer, and for long where other programs run.
A lone casting has all cores.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from models.predictor import MINIBATCH, Predictor

_FEWEST = 4  # castings a core; fewer are not worth dividing

OnMinibatch = Callable[[int], object]


@dataclass(frozen=True)
class _Ask:
    predictor: Predictor
    pixels_N: Tensor
    features_N_F: "asyncio.Future[Tensor]"


class Turns:
    """Runs the trunk; used from one event loop.

    Args:
        on_minibatch: told the number of castings of each minibatch that is run.
    """

    def __init__(self, on_minibatch: OnMinibatch = lambda _: None) -> None:
        self._cores = torch.get_num_threads()
        self._threads = ThreadPoolExecutor(self._cores, thread_name_prefix="trunk")
        self._waiting: deque[_Ask] = deque()
        self._turning: asyncio.Task[None] | None = None
        self._on_minibatch = on_minibatch

    async def embed(self, predictor: Predictor, pixels_N: Tensor) -> Tensor:
        """Features `[N, F]` of decoded castings."""
        loop = asyncio.get_running_loop()
        ask = _Ask(predictor, pixels_N, loop.create_future())
        self._waiting.append(ask)
        if self._turning is None or self._turning.done():
            self._turning = loop.create_task(self._turn_while_asked())
        return await ask.features_N_F

    def close(self) -> None:
        """Finish the minibatches that are run and take nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _turn_while_asked(self) -> None:
        while self._waiting:
            asks = self._next()
            by_predictor: dict[int, list[_Ask]] = {}
            for ask in asks:
                by_predictor.setdefault(id(ask.predictor), []).append(ask)
            await asyncio.gather(*(self._run(group, len(asks)) for group in by_predictor.values()))

    def _next(self) -> list[_Ask]:
        """Those who have waited longest, a minibatch a core; who has gone away is passed over."""
        asks: list[_Ask] = []
        castings = 0
        while self._waiting and castings < MINIBATCH * self._cores:
            ask = self._waiting.popleft()
            if not ask.features_N_F.done():
                asks.append(ask)
                castings += len(ask.pixels_N)
        return asks

    async def _run(self, asks: Sequence[_Ask], together: int) -> None:
        """Run castings of one model, and give each who asked their own."""
        predictor = asks[0].predictor
        pixels_N = torch.cat([ask.pixels_N for ask in asks])
        alone = together == 1 and len(pixels_N) < _FEWEST * self._cores
        threads = self._cores if alone else 1
        loop = asyncio.get_running_loop()
        try:
            parts = await asyncio.gather(
                *(
                    loop.run_in_executor(self._threads, self._embed, predictor, chunk, threads)
                    for chunk in pixels_N.tensor_split(self._pieces(len(pixels_N)))
                )
            )
        except Exception as error:  # noqa: BLE001 -- it goes to those who asked, and turns go on
            for ask in asks:
                if not ask.features_N_F.done():
                    ask.features_N_F.set_exception(error)
            return
        sizes = [len(ask.pixels_N) for ask in asks]
        for ask, features in zip(asks, torch.cat(parts).split(sizes), strict=True):
            if not ask.features_N_F.done():
                ask.features_N_F.set_result(features)

    def _pieces(self, castings: int) -> int:
        """Into how many minibatches castings are divided."""
        least = -(-castings // MINIBATCH)
        return max(least, min(self._cores, castings // _FEWEST), 1)

    def _embed(self, predictor: Predictor, pixels_N: Tensor, threads: int) -> Tensor:
        torch.set_num_threads(threads)  # of this thread alone
        self._on_minibatch(len(pixels_N))
        return predictor.embed(pixels_N)
