"""A job that `mlflow run` started ends with it.

A killed `mlflow run` cannot stop its job, which would go on unseen and hold the campaign against
the same command given again. Where there is a shell between the two, both links are watched.
"""

import os
import signal
import threading
import time
from pathlib import Path

_LOOK = 0.5  # seconds
_SHELLS = frozenset({"bash", "sh", "dash"})


def end_with_parent() -> None:
    """Ask this process to end, as SIGTERM does, when whoever started it is gone."""
    threading.Thread(target=_watch, args=(_links(),), name="parent-watchdog", daemon=True).start()


def _watch(links: tuple[int, int | None]) -> None:
    while _links() == links:
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGTERM)


def _links() -> tuple[int, int | None]:
    """The parent of this process and, where that is a shell, the shell's parent."""
    parent = os.getppid()
    try:
        name, _, rest = Path(f"/proc/{parent}/stat").read_text().partition("(")[2].rpartition(")")
    except OSError:  # no /proc here
        return parent, None
    return parent, int(rest.split()[1]) if name in _SHELLS else None
