"""A worker of a comparison: `python -m jobs.commands.worker CAMPAIGNS DONE`.

It runs campaigns, options in JSON, one after the other, and adds a line to the file DONE for each
that has ended. Torch and MLflow, which take as long as some rounds to import, are imported once.
"""

import json
import sys
from pathlib import Path

from jobs.adapters.context import real_context
from jobs.campaign.run import run
from jobs.commands.frame import holding
from jobs.options import RunOptions
from models.errors import CastingError


def main(campaigns: str, done: Path) -> None:
    """Run them all; the first that fails ends it, with exit code 1."""
    for given in json.loads(campaigns):
        options = RunOptions(**given)
        try:
            with real_context() as context, holding(options.name):
                run(context, options)
        except CastingError as error:
            sys.exit(f"Error: {error}")
        with done.open("a") as lines:
            lines.write(f"{options.name}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
