"""The commands by which people's labels come in."""

from pathlib import Path
from typing import Any

import click

from jobs.adapters.context import real_context
from jobs.campaign.label import export_labels, import_labels, label_status
from jobs.campaign.state import recorded_options, state_without_images
from jobs.commands.frame import campaign_option, consulting, file_argument, prints_json


@click.group("label")
def label_group() -> None:
    """Exchange labels with people: export what awaits them, import what they say.

    Example: castings label export labels.csv
    """


@label_group.command("export")
@file_argument
@campaign_option
@prints_json
def label_export_command(file: Path, campaign: str) -> dict[str, Any]:
    """Write the castings that await a label to a file, .csv or .xlsx.

    Example: castings label export labels.xlsx
    """
    with consulting(campaign) as session:
        return {"campaign": session.campaign.name, "awaiting": export_labels(session, file)}


@label_group.command("import")
@file_argument
@campaign_option
@prints_json
def label_import_command(file: Path, campaign: str) -> dict[str, Any]:
    """Take in a file of labels: casting, label (a class, or skip), and optionally annotator.

    Example: castings label import labels.csv
    """
    with consulting(campaign) as session:
        return {"campaign": session.campaign.name, **import_labels(session, file)}


@label_group.command("status")
@campaign_option
@prints_json
def label_status_command(campaign: str) -> dict[str, Any]:
    """Count what was asked for, what has labels, and what awaits them.

    Example: castings label status
    """
    with real_context() as context:
        options = recorded_options(context.ledger, campaign)
        state = state_without_images(context.ledger, options)
    if state is None:
        with consulting(options.name) as session:
            state = session.state
    return label_status(options.name, state)
