"""`python -m jobs VERB`."""

import os
import signal
import sys

from jobs.cli import cli
from jobs.starter import end_with_starter

# a polite end unwinds: the service is stopped and the MLflow run is closed
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
if "MLFLOW_RUN_ID" in os.environ:  # handed over by `mlflow run`
    end_with_starter()

cli(prog_name="python -m jobs")
