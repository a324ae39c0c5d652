"""The commands of a campaign: run, train, acquire."""

from dataclasses import asdict
from typing import Any

import click

from jobs.adapters.context import real_context
from jobs.commands.frame import (
    campaign_option,
    holding,
    model_option,
    option,
    prints_json,
    service_option,
    working_on_recorded,
)
from jobs.options import AUGMENT, CHANNELS, FIT, TRAIN, RunOptions
from jobs.progress import bar
from models.acquisition.strategies.table import STRATEGIES


@click.command("run")
@option("data", "Folder, manifest (.csv, .parquet), or the word synthetic.")
@option("strategy", f"{', '.join(STRATEGIES)}, or your own package.module:function.")
@option("rounds", "Trainings; each but the last is followed by a batch.", click.IntRange(1))
@option("batch", "Castings to label a round.", click.IntRange(1))
@option("initial", "Castings labelled before the first training.", click.IntRange(2))
@option("seed", "Of initial labels, weights and draws.", click.IntRange(0))
@option("split", "Keep a given split, or split by part.", click.Choice(["given", "by-part"]))
@option("split_seed", "Of the split by part.", int)
@option("cold_start", "First batch: random, or a strategy that needs no labels yet.")
@option("audit_share", "Share of labels that measure, not train.", click.FloatRange(0, 1))
@option("passes", "Dropout passes K.", click.IntRange(1, 1000))
@option("steps", "SGD steps a training; 0: the recipe chooses.", click.IntRange(0))
@option("image_size", "Edge of the network's input in pixels.", click.IntRange(32, 1024))
@option(
    "channels", "Grey, colour, or auto: colour if any casting is tinted.", click.Choice(CHANNELS)
)
@option("fit", "Stretch photographs to a square, or pad the shorter side.", click.Choice(FIT))
@option(
    "augment",
    "With --train all: rotate, mirror, auto (both) or none; a head sees castings as they are.",
    click.Choice(AUGMENT),
)
@option("backbone", "Convolutional network of timm, by its name there.")
@option(
    "weights", "Start: surface (shipped), imagenet, a timm tag, scratch, or a safetensors file."
)
@option("train", "A head on frozen features, all weights, or auto.", click.Choice(TRAIN))
@option(
    "refit_every", "Labels between refits of the head in a round; 0: the batch.", click.IntRange(0)
)
@option("pictures", "Draw each round's contact sheet and figures; no saves seconds.", bool)
@option("good", "Class that means no defect; auto: the one that starts with ok or good.")
@option("classes", "All class names, comma-separated; auto: those of the data.")
@model_option
@service_option
@option("campaign", "Name; auto: made of data, strategy and seed.")
@click.option(
    "--dry-run",
    is_flag=True,
    default=False,
    help="Print what the data was understood as; no more.",
)
@prints_json
def run_command(dry_run: bool, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Run a campaign: rounds of train, acquire, label. The same command continues it.

    Example: castings run --data castings/ --strategy bald --rounds 6
    """
    asked = RunOptions(**options)
    if dry_run:
        from jobs.campaign.dry_run import dry_run as read

        return read(asked, bar, lambda line: click.echo(line, err=True))
    from jobs.campaign.moved import continued
    from jobs.campaign.run import run

    with real_context() as context:
        asked = continued(context, asked)
        with holding(asked.name):
            return run(context, asked)


@click.command("train")
@campaign_option
@prints_json
def train_command(campaign: str) -> dict[str, Any]:
    """Train a campaign's next round on its labels and register a version.

    Example: castings train --campaign synthetic-bald-0
    """
    from jobs.campaign.label import ask_oracle
    from jobs.campaign.train import train_round

    with working_on_recorded(campaign) as session:
        return asdict(train_round(ask_oracle(session)))


@click.command("acquire")
@campaign_option
@service_option
@prints_json
def acquire_command(campaign: str, service_url: str) -> dict[str, Any]:
    """Rank the unlabelled pool through the service and record the batch to label.

    Example: castings acquire --service-url http://127.0.0.1:3000
    """
    from jobs.campaign.run import ask_by_model

    with working_on_recorded(campaign, service_url) as session:
        is_left = ask_by_model(session)
        opened, waiting = session.campaign, session.reread().state.unlabelled()
        return {
            "campaign": opened.name,
            "state": "awaiting labels" if is_left else "no castings are left to ask for",
            "batch": [{**asdict(a), "path": opened.casting(a.casting).paths[0]} for a in waiting],
        }
