"""Speed beside peers and limits, measured in one run and printed as one table.

    python -m benchmarks CASTING            # an hour
    python -m benchmarks --only latency     # of the subjects, separated by commas

CASTING is the folder of the public data set; subjects that need it are left out without it. Each
subject has a process of its own, so that none runs on the threads and memory of another.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.table import HEAD

SUBJECTS = ("ranking", "engines", "latency", "training", "campaign")
ON_CASTINGS = {"engines", "training", "campaign"}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("casting", type=Path, nargs="?")
    parser.add_argument("--only", default=",".join(SUBJECTS))
    given = parser.parse_args()
    chosen = given.only.split(",")
    if unknown := set(chosen).difference(SUBJECTS):
        parser.error(f"no subject {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    print(f"{machine()}\n\n{HEAD}", flush=True)
    for subject in chosen:
        if subject in ON_CASTINGS and given.casting is None:
            print(f"{subject} needs the folder of castings: left out", file=sys.stderr)
            continue
        of = [str(given.casting)] if subject in ON_CASTINGS else []
        print(f"measuring: {subject}", file=sys.stderr)
        command = [sys.executable, "-m", f"benchmarks.{subject}", *of]
        subprocess.run(command, check=True)  # noqa: S603 -- our own command


if __name__ == "__main__":
    main()
