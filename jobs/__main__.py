"""`python -m jobs VERB`."""

import signal
import sys

from jobs.cli import cli

# a polite end unwinds: the service is stopped and the MLflow run is closed
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

cli(prog_name="python -m jobs")
