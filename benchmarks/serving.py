"""One-image clients against the service: throughput, latency, swaps, memory.

    python -m benchmarks.serving                 # about seven minutes
    python -m benchmarks.serving --seconds 10 --swaps 4 --requests 1000

64 kept-alive clients send one casting each, again and again, on the same machine. Throughput is
held against 1 / (1/a + 1/b): a = requests per second of a route with the same parser, limits and
answer size that computes nothing, b = castings per second in this process at the best minibatch.
Then the alias moves back and forth under the same load, and at last memory is watched. A bound
that is missed is marked.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import aiohttp
import psutil
import torch
from mlflow import MlflowClient

from benchmarks.castings import jpegs, side_by_side, untrained
from benchmarks.empty import SIZE
from benchmarks.load import CLIENTS, Load, for_seconds, load, serving
from benchmarks.machine import machine
from models.images import decode
from models.registry import version
from models.registry.mlflow_registry import MlflowRegistry

MODEL = "casting-defects"
SERVICE = "service.inspector:CastingInspector"
_TIDIED = 12  # seconds until the service has looked at the registry twice more
SHARE = 0.75  # of what parser and model allow one after the other
FLAT = 0.05  # by how much memory may grow under load; it comes and goes in steps of 16 MiB
_KEPT, _LEVELS = 75, 12  # seconds that BentoML keeps something of a request, and some; looks


def in_process(images: Sequence[bytes], seconds: float) -> float:
    """Castings per second, decoded and scored with 50 passes, a minibatch per core."""
    predictor, done = untrained(0), 0

    def score(chunk: Sequence[bytes]) -> None:
        pixels_N = torch.stack([decode(data, predictor.preprocessing) for data in chunk])
        predictor.answers(chunk, predictor.score(pixels_N, 50, 0))

    side_by_side(score, images)
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        side_by_side(score, images)
        done += len(images)
    return done / (time.monotonic() - start)


@contextmanager
def store(size: int = 128) -> Iterator[tuple[str, MlflowClient]]:
    """A registry with two versions that take castings of a size; the first is current."""
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        os.environ["MLFLOW_TRACKING_URI"] = uri
        client = MlflowClient(uri)
        experiment = client.create_experiment("casting-defects", f"{folder}/artifacts")
        golden = torch.randint(0, 256, (8, 1, size, size), dtype=torch.uint8)
        for seed in (1, 2):
            run = client.create_run(experiment).info.run_id
            MlflowRegistry(client).publish(
                MODEL, untrained(seed, size), golden, run, {"labels": "8"}
            )
        client.set_registered_model_alias(MODEL, version.ALIAS, "1")
        yield uri, client


async def swap(url: str, mlflow: MlflowClient, times: int) -> None:
    """Move the alias back and forth; each time wait until the service has followed.

    Raises:
        SystemExit: it has not.
    """
    async with aiohttp.ClientSession() as session:
        for turn in range(times):
            await asyncio.sleep(1)
            number = "2" if turn % 2 == 0 else "1"
            await asyncio.to_thread(
                mlflow.set_registered_model_alias, MODEL, version.ALIAS, number
            )
            async with session.post(f"{url}/reload") as response:
                served = (await response.json())["version"]
            if served != number:
                raise SystemExit(f"version {served} is served after a swap to {number}")


def megabytes(process: psutil.Process) -> float:
    """Memory that the process holds."""
    return float(process.memory_info().rss / 2**20)


def throughput(plain: Load, empty: Load, b: float) -> None:
    """Rows about the load without swaps."""
    a, p99, unit = empty.rate, plain.quantile(0.99), CLIENTS / plain.rate
    most = max(2 * empty.quantile(0.99) / (CLIENTS / a), 4)
    allowed = 1 / (1 / a + 1 / b)
    row("empty route, requests/s (a)", f"{a:.0f}")
    row("in process, castings/s (b)", f"{b:.0f}")
    row("failed requests", str(plain.failed.total()), "0", held=not plain.failed)
    row("answers/s", f"{plain.rate:.0f}")
    share = plain.rate / allowed
    row("of 1/(1/a + 1/b)", f"{share:.0%}", f"at least {SHARE:.0%}", held=share >= SHARE)
    row("p50, p99", f"{plain.quantile(0.5) * 1000:.0f} ms, {p99 * 1000:.0f} ms")
    row(
        "p99 in 64/throughput", f"{p99 / unit:.2f}", f"at most {most:.1f}", held=p99 / unit <= most
    )


def swaps(plain: Load, swapped: Load, times: int, grown: float) -> None:
    """Rows about the load with swaps."""
    row(
        f"failed requests in {times} swaps",
        str(swapped.failed.total()),
        "0",
        held=not swapped.failed,
    )
    row(
        "answers by version", ", ".join(f"{v}: {n:,}" for v, n in sorted(swapped.versions.items()))
    )
    slowest = [max(seen.seconds) * 1000 for seen in (plain, swapped)]
    row("slowest request without, with swaps", f"{slowest[0]:.0f} ms, {slowest[1]:.0f} ms")
    row("memory after the swaps", f"{grown:+.0f} MiB")


def row(what: str, value: str, bound: str = "", *, held: bool = True) -> None:
    """Print a line of the table."""
    print(f"| {what} | {value} | {bound}{'' if held else ' **missed**'} |", flush=True)


def measure(uri: str, mlflow: MlflowClient, given: argparse.Namespace) -> None:
    """Measure, and print the table."""
    images = jpegs(128)
    b = in_process(images, given.seconds / 4)
    with serving(SERVICE, MLFLOW_TRACKING_URI=uri) as (url, worker):
        asyncio.run(load(url, images, for_seconds(5)))  # the first requests warm it
        plain = asyncio.run(load(url, images, for_seconds(given.seconds)))
        with serving("benchmarks.empty:Empty", **{SIZE: str(plain.answer_bytes)}) as (other, _):
            asyncio.run(load(other, images, for_seconds(2)))
            throughput(plain, asyncio.run(load(other, images, for_seconds(given.seconds / 4))), b)
        before, ended = megabytes(worker), asyncio.Event()

        async def swapping() -> None:
            await swap(url, mlflow, given.swaps)
            ended.set()

        swapped = asyncio.run(load(url, images, lambda _: ended.is_set(), swapping))
        time.sleep(_TIDIED)
        swaps(plain, swapped, given.swaps, megabytes(worker) - before)
        memory(worker, url, images, given.requests)


def memory(worker: psutil.Process, url: str, images: Sequence[bytes], requests: int) -> None:
    """Rows about what the worker holds, once all that it keeps of a request for a while is there.

    It is looked at under load: an idle service gives memory back, and takes it again.
    """
    asyncio.run(load(url, images, for_seconds(_KEPT)))
    levels: list[float] = []

    def enough(seen: Load) -> bool:
        if len(seen.seconds) >= len(levels) * requests / _LEVELS:
            levels.append(megabytes(worker))
        return len(seen.seconds) >= requests

    asyncio.run(load(url, images, enough))
    third = len(levels) // 3
    first, last = (statistics.median(held) for held in (levels[:third], levels[-third:]))
    row(f"MiB held in the course of {requests:,} requests", ", ".join(f"{m:.0f}" for m in levels))
    row(
        "last third beside the first",
        f"{last / first - 1:+.1%}",
        f"at most {FLAT:+.0%}",
        held=last <= (1 + FLAT) * first,
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--requests", type=int, default=20_000, help="of the memory's watch")
    given = parser.parse_args()
    print(
        f"{machine()}; {CLIENTS} clients, 300 x 300 JPEG, 128 px\n\n| | | bound |\n|---|---|---|"
    )
    with store() as (uri, mlflow):
        measure(uri, mlflow, given)


if __name__ == "__main__":
    main()
