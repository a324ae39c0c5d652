"""Clients that load a service, and the service that they load."""

import asyncio
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import aiohttp
import numpy as np
import psutil

from jobs.processes.child_process import end_children, start_child

CLIENTS = 64


@dataclass
class Load:
    """What clients saw."""

    seconds: list[float] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    answer_bytes: int = 0
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.seconds) / self.elapsed

    def quantile(self, share: float) -> float:
        """Latency in seconds."""
        return float(np.quantile(self.seconds, share))

    def note(self, status: int, body: bytes, seconds: float) -> None:
        """Count an answer."""
        if status != HTTPStatus.OK:
            self.failed[f"{status} {body[:80]!r}"] += 1
            return
        self.seconds.append(seconds)
        self.answer_bytes = len(body)
        if body.strip():
            self.versions[json.loads(body)["model"]["version"]] += 1


@contextmanager
def serving(service: str, **environment: str) -> Iterator[tuple[str, psutil.Process]]:
    """A service on a free port: its address, and the process of its worker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("bentoml")), "serve", service]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryFile("w+") as log:
        process = start_child(command, os.environ | environment, log)
        try:
            yield asyncio.run(_ready(f"http://127.0.0.1:{port}", process)), _worker(process.pid)
        finally:
            end_children(process)


async def _ready(url: str, process: subprocess.Popen[bytes]) -> str:
    async with aiohttp.ClientSession() as session:
        for _ in range(600):
            if process.poll() is not None:
                raise SystemExit(f"the service ended with {process.returncode}")
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as response:
                    if response.status == HTTPStatus.OK:
                        return url
            await asyncio.sleep(0.1)
    raise SystemExit("the service did not come up")


def _worker(pid: int) -> psutil.Process:
    """The largest of its processes."""
    family = psutil.Process(pid).children(recursive=True)
    return max(family, key=lambda process: process.memory_info().rss)


async def load(
    url: str,
    images: Sequence[bytes],
    stop: Callable[[Load], bool],
    beside: Callable[[], Awaitable[object]] | None = None,
) -> Load:
    """Clients that send one casting after the other until it is enough."""
    seen, start = Load(), time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS)) as session:

        async def client(number: int) -> None:
            for turn in itertools.count():
                if stop(seen):
                    return
                form = aiohttp.FormData()
                image = images[(number + turn) % len(images)]
                form.add_field("images", image, filename="a.jpeg", content_type="image/jpeg")
                sent = time.monotonic()
                async with session.post(f"{url}/score", data=form) as response:
                    body = await response.read()
                seen.note(response.status, body, time.monotonic() - sent)

        clients = asyncio.gather(*(client(number) for number in range(CLIENTS)))
        if beside is not None:
            await beside()
        await clients
    seen.elapsed = time.monotonic() - start
    return seen


def for_seconds(seconds: float) -> Callable[[Load], bool]:
    """Stop after so long."""
    end = time.monotonic() + seconds
    return lambda _: time.monotonic() > end
