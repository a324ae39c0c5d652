"""A leash for other programs: they end when their owner does, however that dies.

The leash is a pipe to `python -m jobs.leash COMMAND...`, which ends with the owner. The command is
then asked to end, and after a while made to, with all that it started. It is a program between
the two, since a command that still imports torch could not watch for itself.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_GRACE = 10.0  # seconds to finish requests or to close an MLflow run
_ROOT = Path(__file__).parent.parent  # the packages are run from here


def leashed(
    command: Sequence[str], environment: Mapping[str, str], log: IO[str]
) -> subprocess.Popen[bytes]:
    """Start a command that ends with this process.

    Args:
        command: program and arguments; the packages of this project can be imported in it.
        environment: its variables.
        log: takes what it prints.
    """
    path = os.pathsep.join(filter(None, [str(_ROOT), environment.get("PYTHONPATH")]))
    return subprocess.Popen(  # noqa: S603 -- our own programs
        [sys.executable, "-m", "jobs.leash", *command],
        env={**environment, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def pull(*leashes: subprocess.Popen[bytes]) -> None:
    """End leashed commands, all at once: kindly, then not."""
    for leash in leashes:
        if leash.stdin is not None:
            leash.stdin.close()
    for leash in leashes:
        leash.wait()


def _main(command: Sequence[str]) -> int:
    """Run the command; exit code as a shell tells it, 128 more than the signal that ended it."""
    process = subprocess.Popen(  # noqa: S603 -- our own programs
        command, stdin=subprocess.DEVNULL, start_new_session=True
    )
    for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(asked, lambda *_: _send(process.pid, signal.SIGTERM))
    threading.Thread(target=_end_with_owner, args=(process.pid,), daemon=True).start()
    code = process.wait()
    _send(process.pid, signal.SIGKILL)  # what it left behind
    return code if code >= 0 else 128 - code


def _end_with_owner(group: int) -> None:
    os.read(0, 1)
    _send(group, signal.SIGTERM)
    time.sleep(_GRACE)
    _send(group, signal.SIGKILL)


def _send(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
