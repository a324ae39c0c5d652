"""Where castings are computed: off the event loop, by threads of its own, in stages.

Decoding, and what is left once the features are known, take a thread a core, of one torch thread
each; the trunk is run in lanes (`service.lanes`).
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from models.errors import UnreadableImage
from models.images import Preprocessing, decode
from models.network import use_threads
from models.predictor import Predictor
from service.form import Upload
from service.lanes import Lanes
from service.meters import Meters
from service.refusals import BadImage, BadInput, NotNow

_DECODED_TOGETHER = 16  # images a task: enough that handing tasks over costs nothing
_RETRY_SECONDS = 1

T = TypeVar("T")


class Bench:
    """The threads of a worker, and the line before them."""

    def __init__(self, max_waiting: int, max_pixels: int, meters: Meters) -> None:
        self._max_waiting = max_waiting
        self._max_pixels = max_pixels
        self._meters = meters
        self._inside = 0
        self._lanes = Lanes(meters.minibatch)
        self._threads = ThreadPoolExecutor(torch.get_num_threads(), "compute", use_threads, (1,))

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

    async def decode(self, images: Sequence[Upload], preprocessing: Preprocessing) -> Tensor:
        """Pixels of all images, uint8 `[N, channels, size, size]`.

        Raises:
            BadInput: some cannot be read; it lists every one of them.
        """
        with self._timed("decode"):
            tasks = [
                self._run(partial(self._decode, images, start, preprocessing))
                for start in range(0, len(images), _DECODED_TOGETHER)
            ]
            decoded = [image for part in await asyncio.gather(*tasks) for image in part]
        bad = [image for image in decoded if isinstance(image, BadImage)]
        if bad:
            raise BadInput(f"{len(bad)} of {len(images)} images cannot be read", bad)
        return torch.stack([image for image in decoded if isinstance(image, Tensor)])

    async def embed(self, predictor: Predictor, pixels_N: Tensor) -> Tensor:
        """Features `[N, F]` of decoded castings."""
        with self._timed("trunk"):
            return await self._lanes.embed(predictor, pixels_N)

    async def compute(self, work: Callable[[], T]) -> T:
        """Run something in a thread that computes."""
        with self._timed("answer"):
            return await self._run(work)

    def close(self) -> None:
        """Finish what is being computed and take nothing more."""
        self._lanes.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self._meters.stage(stage, time.monotonic() - start)

    def _decode(
        self, images: Sequence[Upload], start: int, preprocessing: Preprocessing
    ) -> list[Tensor | BadImage]:
        decoded: list[Tensor | BadImage] = []
        for index, image in enumerate(images[start : start + _DECODED_TOGETHER], start):
            try:
                decoded.append(decode(image.data, preprocessing, self._max_pixels))
            except UnreadableImage as error:
                decoded.append(BadImage(index, image.name, str(error)))
        return decoded
