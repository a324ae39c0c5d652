"""How long a lone client waits for one casting, beside what nobody could spare it.

    python -m benchmarks --only latency

The bound is the median of a route of the same shape that computes nothing, and 1.3 times what
decoding and one backbone pass of one image take in this process.
"""

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import aiohttp
import torch

from benchmarks.castings import jpegs, untrained
from benchmarks.empty import SIZE
from benchmarks.load import serving
from benchmarks.serving import SERVICE, store
from benchmarks.table import Bound, Row, show
from models.images import decode

REQUESTS, SPARE = 300, 1.3


async def median_ms(url: str, images: Sequence[bytes]) -> tuple[float, int]:
    """Median latency of one client, and the size of an answer."""
    seconds, size = [], 0
    async with aiohttp.ClientSession() as session:
        for image in itertools.islice(itertools.cycle(images), REQUESTS):
            form = aiohttp.FormData()
            form.add_field("images", image, filename="a.jpeg", content_type="image/jpeg")
            sent = time.perf_counter()
            async with session.post(f"{url}/score", data=form) as response:
                response.raise_for_status()
                size = len(await response.read())
            seconds.append(time.perf_counter() - sent)
    return 1000 * statistics.median(seconds[REQUESTS // 10 :]), size


def took_ms(work: Callable[[], object]) -> float:
    """Median of many calls."""
    seconds = []
    for _ in range(REQUESTS // 3):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)


def rows() -> Iterator[Row]:
    """Of a service with an untrained model."""
    images = jpegs(32)
    with store() as (uri, _), serving(SERVICE, MLFLOW_TRACKING_URI=uri) as (url, _):
        ours, size = asyncio.run(median_ms(url, images))
    with serving("benchmarks.empty:Empty", **{SIZE: str(size)}) as (url, _):
        empty, _ = asyncio.run(median_ms(url, images))
    predictor = untrained(0)
    pixels_1 = decode(images[0], predictor.preprocessing).unsqueeze(0)
    turn = itertools.cycle(images)
    decoding = took_ms(lambda: decode(next(turn), predictor.preprocessing))
    with torch.inference_mode():
        backbone = took_ms(lambda: predictor.embed(pixels_1))
    bound = Bound(most=round(empty + SPARE * (decoding + backbone), 1), unit=" ms")
    work = "one 300x300 per request, 128 px, K = 50"
    yield Row(work, "route that computes nothing", f"{empty:.1f} ms")
    yield Row(work, "decoding alone", f"{decoding:.1f} ms")
    yield Row(work, "backbone alone", f"{backbone:.1f} ms")
    yield Row(work, "`POST /score`", f"{ours:.1f} ms", "", ours, bound)


if __name__ == "__main__":
    show(rows())
