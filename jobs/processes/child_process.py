"""Child processes that end when their owner does, however that dies.

Between the two is a supervisor, `python -m jobs.processes.child_process COMMAND...`, at the end of
a pipe that closes with the owner. It then asks the command to end, and after a while makes it,
with whatever that started, in whatever session. It is a program of its own, since a command that
still imports torch could not watch for itself.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

GRACE = 10.0  # seconds to finish requests or to close an MLflow run
_ROOT = Path(__file__).parents[2]  # the packages are run from here
_END_WITH_PARENT, _ADOPT_ORPHANS = 1, 36  # options of Linux's prctl


def start_child(
    command: Sequence[str], environment: Mapping[str, str], log: IO[str]
) -> subprocess.Popen[bytes]:
    """Start a command that ends with this process; it can import the packages of this project.

    Returns its supervisor, which ends with the command's exit code, or 128 more than the signal
    that ended it.
    """
    path = os.pathsep.join(filter(None, [str(_ROOT), environment.get("PYTHONPATH")]))
    return subprocess.Popen(  # noqa: S603 -- our own programs
        [sys.executable, "-m", "jobs.processes.child_process", *command],
        env={**environment, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def end_children(*children: subprocess.Popen[bytes]) -> None:
    """End what `start_child` started, all at once: kindly, then not."""
    for child in children:
        if child.stdin is not None:
            child.stdin.close()
    for child in children:
        child.wait()


def _main(command: Sequence[str]) -> int:
    """Run the command; exit code as a shell tells it."""
    started: Future[subprocess.Popen[bytes]] = Future()
    ending = threading.Thread(target=_end, args=(started,), daemon=True)
    once = threading.Lock()

    def end(*_: object) -> None:
        if once.acquire(blocking=False):
            ending.start()

    def watch_owner() -> None:
        os.read(0, 1)
        end()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    _tell_linux(_ADOPT_ORPHANS, 1)
    process = subprocess.Popen(  # noqa: S603 -- our own programs
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: _tell_linux(_END_WITH_PARENT, signal.SIGTERM),  # noqa: PLW1509 -- no threads yet
    )
    started.set_result(process)
    threading.Thread(target=watch_owner, daemon=True).start()
    code = process.wait()
    while left := psutil.Process().children(recursive=True):
        _kill(left)
        psutil.wait_procs(left, timeout=1)
    return code if code >= 0 else 128 - code


def _end(started: "Future[subprocess.Popen[bytes]]") -> None:
    """Ask the command to end, later make it and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(started.result().pid, signal.SIGTERM)
    time.sleep(GRACE)
    _kill(psutil.Process().children(recursive=True))


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _tell_linux(option: int, value: int) -> None:
    """Elsewhere what a killed command or supervisor leaves behind goes on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
