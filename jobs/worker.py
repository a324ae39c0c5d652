"""`python -m jobs.worker VERB`: the command line on a leash that its owner holds.

The leash is a pipe on standard input. When the owner is gone, however it died, the pipe ends; the
worker then unwinds as it does when it is asked to stop.
"""

import os
import runpy
import signal
import threading
import time

_GRACE = 10.0  # seconds to close the MLflow run


def _end_with_owner() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_owner, name="leash", daemon=True).start()
    runpy.run_module("jobs", run_name="__main__", alter_sys=True)
