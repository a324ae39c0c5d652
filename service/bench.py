"""Where castings are computed: off the event loop, one request after the other.

Decoding takes a few threads, everything with the network one: torch uses all cores for a single
minibatch already, and memory then does not grow with the number of clients.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from models.errors import UnreadableImage
from models.images import Preprocessing, decode
from models.predictor import Predictor
from service.form import Upload
from service.refusals import BadImage, BadInput, NotNow

_DECODERS = 2
_DECODED_TOGETHER = 16  # images a task: enough that handing tasks over costs nothing
_RETRY_SECONDS = 1

T = TypeVar("T")


class Bench:
    """The threads of a worker, and the line before them."""

    def __init__(self, max_waiting: int, max_pixels: int) -> None:
        self._max_waiting = max_waiting
        self._max_pixels = max_pixels
        self._inside = 0
        self._decoders = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode")
        self._computer = ThreadPoolExecutor(1, thread_name_prefix="compute")

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
        loop = asyncio.get_running_loop()
        tasks = [
            loop.run_in_executor(self._decoders, self._decode, images, start, preprocessing)
            for start in range(0, len(images), _DECODED_TOGETHER)
        ]
        decoded = [image for part in await asyncio.gather(*tasks) for image in part]
        bad = [image for image in decoded if isinstance(image, BadImage)]
        if bad:
            raise BadInput(f"{len(bad)} of {len(images)} images cannot be read", bad)
        return torch.stack([image for image in decoded if isinstance(image, Tensor)])

    async def embed(self, predictor: Predictor, pixels_N: Tensor) -> Tensor:
        """Features `[N, F]` of decoded castings.

        The one place where the trunk is run: what shares minibatches between requests goes here.
        """
        return await self.compute(lambda: predictor.embed(pixels_N))

    async def compute(self, work: Callable[[], T]) -> T:
        """Run something in the thread that computes."""
        return await asyncio.get_running_loop().run_in_executor(self._computer, work)

    def close(self) -> None:
        """Finish what is being computed and take nothing more."""
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._computer.shutdown(wait=False, cancel_futures=True)

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
