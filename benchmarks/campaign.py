"""A whole campaign on the castings, and ranking of pools that grow.

    python -m benchmarks.campaign CASTING              # some ten minutes
    python -m benchmarks.campaign CASTING --pools 5000,20000,80000

CASTING is the folder of the public data set. A campaign: 50 labels and 5 batches of 50, BALD at 50
passes, with the start of its service. Then pools of its castings, repeated under new bytes, are
ranked over HTTP; time and the memory of job and service should grow with the pool and not at all.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import machine

CAMPAIGN = "--strategy bald --initial 50 --batch 50 --rounds 6 --passes 50"
ONE_RANKING = "--strategy bald --initial 20 --batch 10 --rounds 2 --steps 5 --audit-share 0"
MOST = 480  # seconds of the campaign


def run(data: Path, options: str, folder: str) -> tuple[float, dict[str, object]]:
    """Seconds of `python -m jobs run` in a folder of its own, and its result."""
    started = time.monotonic()
    done = subprocess.run(  # noqa: S603 -- our own program
        [sys.executable, "-m", "jobs", "run", "--data", str(data.resolve()), *options.split()],
        check=True, capture_output=True, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    result: dict[str, object] = json.loads(done.stdout)
    return time.monotonic() - started, result


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
    parser.add_argument("--pools", default="")
    given = parser.parse_args()
    print(f"{machine()}\n\n| | seconds | bound |\n|---|---|---|")
    if not given.pools:
        with tempfile.TemporaryDirectory() as folder:
            seconds, result = run(given.casting, CAMPAIGN, folder)
        missed = " **missed**" * (seconds > MOST)
        print(f"| campaign: `{CAMPAIGN}` | {seconds:.0f} | at most {MOST}{missed} |")
        print(json.dumps(result), file=sys.stderr)
    for count in map(int, filter(None, given.pools.split(","))):
        with tempfile.TemporaryDirectory() as folder:
            data = repeated(given.casting, count, Path(folder) / "castings")
            seconds, _ = run(data, ONE_RANKING, folder)
        print(f"| a pool of {count:,}, ranked once | {seconds:.0f} | |", flush=True)


if __name__ == "__main__":
    main()
