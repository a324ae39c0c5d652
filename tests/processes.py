"""What tests of real processes ask: whether one runs, and whether something comes true in time."""

import time
from collections.abc import Callable

import psutil


def eventually(condition: Callable[[], bool], seconds: float = 90, pause: float = 0.05) -> bool:
    """Whether a condition holds within so many seconds, looked at after each pause."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def runs(pid: int) -> bool:
    """Whether a process runs; where nobody reaps orphans, the dead stay as zombies."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
