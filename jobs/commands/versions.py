"""The commands about versions of the registered model: promote, export."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from jobs.adapters.context import real_context
from jobs.campaign.state import recorded_options
from jobs.commands.frame import DEFAULTS, campaign_option, model_option, prints_json
from models.registry.version import DIGESTS, Version


@click.command("promote")
@campaign_option
@model_option
@click.option("--version", "number", default="auto", help="auto: the campaign's latest version.")
@click.option("--rollback", is_flag=True, help="Go back to the version before the current one.")
@prints_json
def promote_command(campaign: str, model_name: str, number: str, rollback: bool) -> dict[str, Any]:
    """Point the alias `current`, which the service follows, at a version.

    Example: castings promote --version 3
    """
    from jobs.campaign.promote import promote, promote_latest, roll_back

    command = click.get_current_context()
    if rollback and number != "auto":
        command.fail("give either --version N or --rollback")
    with real_context() as context:
        if rollback:
            return _printed(roll_back(context.tracker, model_name))
        if number != "auto":
            return _printed(promote(context.tracker, model_name, number))
        options = recorded_options(context.ledger, campaign)
        if model_name not in {options.model_name, DEFAULTS["model_name"]}:
            command.fail(f"--model-name: campaign {options.name} trains {options.model_name}")
        return _printed(promote_latest(context, options))


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@model_option
@click.option("--version", "number", default="auto", help="auto: the current one.")
@prints_json
def export_command(folder: Path, model_name: str, number: str) -> dict[str, Any]:
    """Write a version to a new folder, which the service can serve without MLflow.

    Example: castings export exported --version 3
    """
    from jobs.campaign.promote import export

    with real_context() as context:
        version = export(context.tracker, model_name, number, folder)
        return {"folder": str(folder), **_printed(version)}


def _printed(version: Version) -> dict[str, Any]:
    """A version as people read it: without the digests of its files."""
    tags = {key: value for key, value in version.tags.items() if key != DIGESTS}
    return asdict(replace(version, tags=tags))
