"""`python -m jobs VERB`."""

import os
import signal
import sys

from jobs.cli import cli
from jobs.processes.parent_watchdog import end_with_parent


def unwind(*_: object) -> None:
    """End politely, once: the service is stopped, the MLflow run closed, whoever asks again."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


signal.signal(signal.SIGTERM, unwind)
if "MLFLOW_RUN_ID" in os.environ:  # handed over by `mlflow run`
    end_with_parent()

cli(prog_name="python -m jobs")
