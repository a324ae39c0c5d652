"""What the command line takes before it does anything: processor time and memory.

    python -m benchmarks.startup                  # two minutes

Each command runs in a process of its own, on a small ledger that was made for it, beside a Python
that does nothing and one that imports torch. Processor time is that of all threads, user and
system, the median of five runs; memory is the largest peak.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.table import Bound

TIMES, MEGABYTE = 5, 10**6
SECONDS, MEMORY = Bound(most=1.0, unit=" s"), Bound(most=250, unit=" MB")
PEERS = {"python -c pass": ["-c", "pass"], 'python -c "import torch"': ["-c", "import torch"]}
OURS = {
    "castings --help": ["-m", "jobs", "--help"],
    "castings label status": ["-m", "jobs", "label", "status"],
}


def python(arguments: Sequence[str], folder: str) -> tuple[float, float]:
    """Seconds of processors, and megabytes at the peak, of Python with these arguments.

    A child's peak is at least that of the process that starts it, so this module imports little.

    Raises:
        SystemExit: it failed.
    """
    stores = {
        "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
        "CASTING_LEDGER": "sqlite:///ledger.db",
    }
    process = subprocess.Popen(  # noqa: S603 -- our own command
        [sys.executable, *arguments], cwd=folder, stdout=subprocess.DEVNULL,
        env=os.environ | stores | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss / MEGABYTE


def make_ledger(folder: str) -> None:
    """A ledger whose one campaign awaits labels."""
    python(["-m", "jobs", "synthesize", "made", "--parts", "60", "--size", "96"], folder)
    question = ["--data", "made/images", "--classes", "ok,def", "--initial", "20"]
    python(["-m", "jobs", "run", *question], folder)


def main() -> None:
    """Print the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        make_ledger(folder)
        for name, arguments in {**PEERS, **OURS}.items():
            python(arguments, folder)  # compiles and reads its files
            runs = [python(arguments, folder) for _ in range(TIMES)]
            seconds, peak = statistics.median(s for s, _ in runs), max(m for _, m in runs)
            bounds = f"{SECONDS.judge(seconds)}, {MEMORY.judge(peak)}" if name in OURS else ""
            rows.append(f"| `{name}` | {seconds:.2f} s | {peak:.0f} MB | {bounds} |")
    from benchmarks.machine import machine  # torch, which every child would then be as large as

    print(f"{machine()}\n\n| command | processor time | peak memory | bound |\n|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
