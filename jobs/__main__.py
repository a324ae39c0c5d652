"""`castings VERB`, which is `python -m jobs VERB`."""

import signal
import sys
from pathlib import Path

from jobs.adapters.environment import handed_run
from jobs.cli import cli
from jobs.processes.parent_watchdog import end_with_parent


def unwind(*_: object) -> None:
    """End politely, once: the service is stopped, the MLflow run closed, whoever asks again."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


def main() -> None:
    """Run a command of the command line."""
    signal.signal(signal.SIGTERM, unwind)
    if handed_run() is not None:
        end_with_parent()
    script = Path(sys.argv[0]).name == "castings"
    cli(prog_name="castings" if script else "python -m jobs")


if __name__ == "__main__":
    main()
