"""How long a lone client waits for one casting, beside what nobody could spare it.

    python -m benchmarks.latency

The bound is the median of a route of the same shape that computes nothing, and 1.3 times what
decoding and one trunk pass of one image take in this process.
"""

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Sequence

import aiohttp
import torch

from benchmarks.castings import jpegs, untrained
from benchmarks.empty import SIZE
from benchmarks.load import serving
from benchmarks.machine import machine
from benchmarks.serving import SERVICE, store
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


def main() -> None:
    """Measure, and print the table."""
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
        trunk = took_ms(lambda: predictor.embed(pixels_1))
    most = empty + SPARE * (decoding + trunk)
    print(f"{machine()}; one client, one 300 x 300 JPEG a request, 128 px, 50 passes\n")
    print("| | median, ms | bound |\n|---|---|---|")
    print(f"| route that computes nothing | {empty:.1f} | |")
    print(f"| decoding, one trunk pass | {decoding:.1f}, {trunk:.1f} | |")
    print(f"| `POST /score` | {ours:.1f} | at most {most:.1f}{' **missed**' * (ours > most)} |")


if __name__ == "__main__":
    main()
