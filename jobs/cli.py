"""The command line: a thin uniform shell over the use cases.

JSON on stdout; progress and logs on stderr; exit 0 done, 1 refused, 2 usage.
"""

import click

from jobs.commands.campaign import acquire_command, run_command, train_command
from jobs.commands.compare import compare_command
from jobs.commands.label import label_group
from jobs.commands.try_out import check_strategy_command, synthesize_command
from jobs.commands.versions import export_command, promote_command


@click.group(context_settings={"show_default": True, "max_content_width": 100})
@click.version_option(package_name="casting-active-learning", prog_name="castings")
def cli() -> None:
    """Which casting should a person look at next?"""


for command in (
    run_command,
    train_command,
    acquire_command,
    label_group,
    promote_command,
    export_command,
    compare_command,
    check_strategy_command,
    synthesize_command,
):
    cli.add_command(command)
