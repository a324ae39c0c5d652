"""`python -m jobs VERB`."""

import signal
import sys

from jobs.adapters.environment import handed_run
from jobs.cli import cli
from jobs.processes.parent_watchdog import end_with_parent


def unwind(*_: object) -> None:
    """End politely, once: the service is stopped, the MLflow run closed, whoever asks again."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


signal.signal(signal.SIGTERM, unwind)
if handed_run() is not None:
    end_with_parent()

cli(prog_name="python -m jobs")
