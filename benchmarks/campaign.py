"""A whole campaign on the castings, and ranking of pools that grow.

    python -m benchmarks --only campaign CASTING       # some fifteen minutes

A campaign on the public data set: 50 labels and 5 batches of 50, BALD at 50 passes, with the start
of its service. Then pools of its castings, repeated under new bytes, are ranked over HTTP, between
two trainings of a few steps: the time should grow with the pool, the memory of job and service
hardly.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.table import Bound, Row, show

CAMPAIGN = "--strategy bald --initial 50 --batch 50 --rounds 6 --passes 50"
ONE_RANKING = "--strategy bald --initial 20 --batch 10 --rounds 2 --steps 5 --audit-share 0"
MOST = Bound(most=480, unit=" s")  # of the campaign
POOLS = (5_000, 20_000, 80_000)
JUDGED = 10  # of as many test castings, one judges the models that rank the pools
LOOK_SECONDS = 0.2  # between two looks at the memory


@dataclass(frozen=True)
class Ran:
    """What a job took: seconds, and MiB resident at most, of itself and of all it has started."""

    seconds: float
    job: float
    service: float


def run(data: Path, options: str, folder: str) -> Ran:
    """Do `python -m jobs run` in a folder of its own.

    Raises:
        SystemExit: it failed.
    """
    stores = {
        "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
        "CASTING_LEDGER": "sqlite:///ledger.db",
    }
    started, job, service = time.monotonic(), 0.0, 0.0
    running = psutil.Popen(
        [sys.executable, "-m", "jobs", "run", "--data", str(data.resolve()), *options.split()],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
        env=os.environ | stores | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    while running.poll() is None:
        job = max(job, resident([running]))
        service = max(service, resident(running.children(recursive=True)))
        time.sleep(LOOK_SECONDS)
    if running.returncode:
        raise SystemExit(f"the job ended with {running.returncode}")
    return Ran(time.monotonic() - started, job, service)


def resident(processes: Iterable[psutil.Process]) -> float:
    """MiB of the processes that are still there."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / 2**20


def repeated(casting: Path, count: int, folder: Path) -> Path:
    """A data set whose train side has so many castings: the same pictures, other bytes."""
    files = sorted((casting / "train").glob("*/*.jpeg"))
    for index in range(count):
        file = files[index % len(files)]
        content = file.read_bytes() + index.to_bytes(4, "little")
        _write(folder / "train" / file.parent.name / f"{index:06}.jpeg", content)
    for file in sorted((casting / "test").glob("*/*.jpeg"))[::JUDGED]:
        _write(folder / "test" / file.parent.name / file.name, file.read_bytes())
    return folder


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def rows(casting: Path) -> Iterator[Row]:
    """The campaign, then each pool."""
    with tempfile.TemporaryDirectory() as folder:
        ran = run(casting, CAMPAIGN, folder)
    yield row(f"campaign, `{CAMPAIGN}`", ran, MOST)
    for count in POOLS:
        with tempfile.TemporaryDirectory() as folder:
            ran = run(repeated(casting, count, Path(folder) / "castings"), ONE_RANKING, folder)
        yield row(f"a pool of {count:,}, ranked once", ran)


def row(work: str, ran: Ran, bound: Bound | None = None) -> Row:
    """Of the table."""
    memory = f"job {ran.job:.0f} MiB, service {ran.service:.0f} MiB"
    return Row(work, "job and service", f"{ran.seconds:.0f} s; {memory}", "", ran.seconds, bound)


if __name__ == "__main__":
    show(rows(Path(sys.argv[1])))
