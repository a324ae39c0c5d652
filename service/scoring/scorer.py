"""Where castings are computed: off the event loop, by threads of its own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from models.embeddings import EmbeddingStore
from models.images import count_pixels
from models.network.device import use_threads
from models.prediction.predictor import Answer
from service.hosting.version_cache import Served
from service.metrics.counters import Counters
from service.refusals import BadImage, BadInput, TooLarge
from service.scoring.batch_scheduler import MAX_MINIBATCH, BatchScheduler
from service.scoring.encoding import body
from service.scoring.minibatch import ChunkResult, score_minibatch
from service.scoring.request import Chunk, ScoreRequest, Unknown

T = TypeVar("T")


class Scorer:
    """The threads of a worker; embeddings are kept.

    Images of more than `max_pixels` are bad; requests have at most `max_request_pixels`.
    """

    def __init__(
        self,
        max_pixels: int,
        max_request_pixels: int,
        counters: Counters,
        embeddings: EmbeddingStore,
    ) -> None:
        self._max_request_pixels = max_request_pixels
        compute = partial(
            score_minibatch, embeddings=embeddings, max_pixels=max_pixels, counters=counters
        )
        self._embeddings = embeddings
        self._scheduler = BatchScheduler(compute)
        self._threads = ThreadPoolExecutor(self._scheduler.cores, "compute", use_threads, (1,))
        self._free = asyncio.Semaphore(self._scheduler.cores)

    async def score(
        self, served: Served, request: ScoreRequest, *, binary: bool
    ) -> tuple[bytes, list[Answer | Unknown]]:
        """The body of the answer to a request, and the rows in it.

        Raises:
            BadInput: some images cannot be read; it lists every one of them.
            TooLarge: together they have more pixels than allowed.
        """

        def split() -> list[Chunk]:
            if len(request.images) > 1:
                _check_pixels(request, self._max_request_pixels)
            return request.chunks(self._scheduler.cores, MAX_MINIBATCH)

        chunks = split() if len(request.images) == 1 else await self.compute(split)
        results = await self._scheduler.run(served.predictor, chunks)
        if bad := _bad_images(request, results):
            raise BadInput(f"{len(bad)} of {len(request.images)} images cannot be read", bad)
        answered = [row for result in results for row in result.rows]
        rows = [answered[i] for i in request.places([row["casting"] for row in answered])]

        def write() -> bytes:
            return body(served, request, rows, _included(request, results), binary=binary)

        short = len(results) == 1 and not request.include
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
        self._embeddings.close()


def _check_pixels(request: ScoreRequest, most: int) -> None:
    """Refuse by their headers images that would take too long together; equal ones count once."""
    pixels = sum(
        count_pixels(image.data) for image in {i.data: i for i in request.images}.values()
    )
    if pixels > most:
        raise TooLarge(
            f"{pixels} pixels in {len(request.images)} images, more than the {most} allowed in a "
            f"request; send several"
        )


def _bad_images(request: ScoreRequest, results: Sequence[ChunkResult]) -> list[BadImage]:
    """Every image of the request that cannot be read, where it stands."""
    bad = {casting: reason for result in results for casting, reason in result.bad.items()}
    if not bad:
        return []
    return [
        BadImage(index, image.name, bad[image.casting])
        for index, image in enumerate(request.images)
        if image.casting in bad and not image.known
    ]


def _included(request: ScoreRequest, results: Sequence[ChunkResult]) -> dict[str, Tensor]:
    """The tensors asked for, with a row for each image whose casting is not unknown."""
    if not request.include:
        return {}
    rows = [row for result in results for row in result.rows]
    order = request.places([row["casting"] for row in rows if "unknown" not in row])
    chunks = [result.included for result in results]
    return {name: torch.cat([chunk[name] for chunk in chunks])[order] for name in request.include}
