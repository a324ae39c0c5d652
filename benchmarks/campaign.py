"""A whole campaign on the castings, and ranking of pools that grow.

    python -m benchmarks.campaign CASTING              # some fifteen minutes

CASTING is the folder of the public data set. A campaign: 50 labels and 5 batches of 50, BALD at 50
passes, with the start of its service. Then pools of its castings, repeated under new bytes, are
ranked over HTTP, after a training of a few steps: the time should grow with the pool, the memory
of job and service hardly.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.machine import machine

CAMPAIGN = "--strategy bald --initial 50 --batch 50 --rounds 6 --passes 50"
ONE_RANKING = "--strategy bald --initial 20 --batch 10 --rounds 2 --steps 5 --audit-share 0"
MOST = 480  # seconds of the campaign
LOOK_SECONDS = 0.2  # between two looks at the memory


@dataclass(frozen=True)
class Ran:
    """What a job took: seconds, and MiB resident at most, of itself and of all it has started."""

    seconds: float
    job: float
    service: float
    result: dict[str, object]


def run(data: Path, options: str, folder: str) -> Ran:
    """Do `python -m jobs run` in a folder of its own.

    Raises:
        SystemExit: it failed.
    """
    started, job, service = time.monotonic(), 0.0, 0.0
    with (Path(folder) / "result.json").open("w+") as result:
        running = psutil.Popen(
            [sys.executable, "-m", "jobs", "run", "--data", str(data.resolve()), *options.split()],
            stdout=result, stderr=subprocess.DEVNULL, cwd=folder,
            env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
        while running.poll() is None:
            job = max(job, resident([running]))
            service = max(service, resident(running.children(recursive=True)))
            time.sleep(LOOK_SECONDS)
        if running.returncode:
            raise SystemExit(f"the job ended with {running.returncode}")
        result.seek(0)
        return Ran(time.monotonic() - started, job, service, json.load(result))


def resident(processes: Iterable[psutil.Process]) -> float:
    """MiB of the processes that are still there."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / 2**20


def repeated(casting: Path, count: int, folder: Path) -> Path:
    """A folder of classes with so many castings: the same pictures, other bytes."""
    files = sorted((casting / "train").glob("*/*.jpeg"))
    for index in range(count):
        file = files[index % len(files)]
        target = folder / file.parent.name / f"{index:06}.jpeg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes() + index.to_bytes(4, "little"))
    return folder


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("casting", type=Path)
    parser.add_argument("--pools", default="5000,20000,80000")
    given = parser.parse_args()
    print(f"{machine()}\n\n| | seconds | bound | job, MiB | service, MiB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        ran = run(given.casting, CAMPAIGN, folder)
    missed = " **missed**" * (ran.seconds > MOST)
    print(row(f"campaign: `{CAMPAIGN}`", ran, f"at most {MOST}{missed}"), flush=True)
    print(json.dumps(ran.result), file=sys.stderr)
    for count in map(int, given.pools.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            data = repeated(given.casting, count, Path(folder) / "castings")
            ran = run(data, ONE_RANKING, folder)
        print(row(f"a pool of {count:,}, ranked once", ran, ""), flush=True)


def row(what: str, ran: Ran, bound: str) -> str:
    """Of the table."""
    return f"| {what} | {ran.seconds:.0f} | {bound} | {ran.job:.0f} | {ran.service:.0f} |"


if __name__ == "__main__":
    main()
