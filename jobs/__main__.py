"""`python -m jobs VERB`."""

from jobs.cli import cli

cli(prog_name="python -m jobs")
