"""The leash: a service that somebody started for their own use ends when they do.

A process that is killed cannot stop its children, so the worker watches the owner, and takes the
`bentoml serve` above it along.
"""

import contextlib
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 4.0  # requests may finish; owner and service are gone ten seconds apart at most

log = logging.getLogger("casting.leash")


@dataclass(frozen=True)
class Process:
    """A process that is not mistaken for a later one with the same number."""

    pid: int
    started: str | None

    @classmethod
    def find(cls, pid: int) -> "Process":
        """The process that has this number now."""
        return cls(pid, _started(pid))

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return self.started is not None and _started(self.pid) == self.started


def hold(owner_pid: int) -> None:
    """Watch the owner from a thread; when it is gone, end `bentoml serve` and this worker."""
    owner, parent = Process.find(owner_pid), Process.find(os.getppid())
    threading.Thread(target=_watch, args=(owner, parent), name="leash", daemon=True).start()


def _watch(owner: Process, parent: Process) -> None:
    while owner.alive and parent.alive:
        time.sleep(_LOOK_SECONDS)
    gone = parent if owner.alive else owner
    log.warning("process %d, which this service belongs to, is gone: it ends", gone.pid)
    if parent.alive and parent != owner:
        with contextlib.suppress(OSError):
            os.kill(parent.pid, signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(0)  # whatever still runs; no other thread can be asked to stop


def _started(pid: int) -> str | None:
    """When a process started, in the kernel's own unit; None if it is dead or a zombie.

    Where there is no /proc, any living process of the number counts.
    """
    proc = Path("/proc")
    if not (proc / "self").exists():
        return _answers(pid)
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return None
    # "pid (name) state ...": the name may hold anything; the start is field 22, state is field 3.
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else rest[18]


def _answers(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return "alive"
    except OSError:
        return None
    return "alive"
