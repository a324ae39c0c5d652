"""The command line: a thin uniform shell over the use cases.

JSON on stdout; progress and logs on stderr; exit 0 done, 1 refused, 2 usage.
"""

import functools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from jobs.adapters.environment import ledger_url, real_context
from jobs.campaign.acquire import ask
from jobs.campaign.export import export
from jobs.campaign.label import ask_oracle, export_labels, import_labels, label_status
from jobs.campaign.opening import Campaign, look_up, recorded_options, worked_on
from jobs.campaign.ports import Context
from jobs.campaign.promote import promote, promote_latest, roll_back
from jobs.campaign.run import run
from jobs.campaign.state import State, read_state
from jobs.campaign.train import train_round
from jobs.compare.compare import compare
from jobs.compare.options import CompareOptions
from jobs.compare.workers import Workers
from jobs.datasets.synthetic.folder import new, synthesize
from jobs.datasets.synthetic.spec import SyntheticSpec
from jobs.flags import flags_of_compare
from jobs.options import RunOptions
from jobs.processes.campaign_lock import hold_campaign
from models.acquisition.strategies.table import STRATEGIES, find_strategy
from models.acquisition.strategy_checks import require_checks
from models.errors import CastingError, first_line
from models.network.backbone import BACKBONES

_Params = ParamSpec("_Params")
_Command = TypeVar("_Command", bound=Callable[..., Any])
_DEFAULTS = asdict(RunOptions())
_SPEC = SyntheticSpec()


@click.group(context_settings={"show_default": True, "max_content_width": 100})
def cli() -> None:
    """Which casting should a person look at next?"""


@contextmanager
def _job(campaign: str, service_url: str = "auto") -> Iterator[tuple[Context, Campaign, State]]:
    """A campaign of the ledger, held by this job alone, and where it stands."""
    with real_context() as context:
        options = recorded_options(context, campaign, service_url)
        with hold_campaign(ledger_url(), options.name), worked_on(context, options) as opened:
            yield context, opened, read_state(context, opened)


@contextmanager
def _consulted(campaign: str) -> Iterator[tuple[Context, Campaign, State]]:
    """A campaign of the ledger, and where it stands, while another job may work on it."""
    with real_context() as context:
        found = look_up(context, recorded_options(context, campaign))
        yield context, found, read_state(context, found)


def _prints_json(
    command: Callable[_Params, dict[str, Any]],
) -> Callable[_Params, None]:
    """Print a command's result, and turn errors that a user can mend into exit 1."""

    @functools.wraps(command)
    def wrapped(*args: _Params.args, **kwargs: _Params.kwargs) -> None:
        try:
            result = command(*args, **kwargs)
        except CastingError as error:
            raise click.ClickException(str(error)) from error
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise click.ClickException(
                f"{type(error).__name__}: {first_line(error)}. What was recorded stays; mend it "
                f"and run the same command again"
            ) from error
        click.echo(json.dumps(result, indent=2))

    return wrapped


def _option(
    name: str, text: str, kind: click.ParamType[Any] | type | None = None
) -> Callable[[_Command], _Command]:
    """An option of `run` with the default of `RunOptions`."""
    flag = "--" + name.replace("_", "-")
    return click.option(flag, name, default=_DEFAULTS[name], type=kind, help=text)


_campaign = click.option(
    "--campaign", default="auto", help="Campaign; auto: the only unfinished one."
)
_service = _option("service_url", "Scoring service; auto: start one and stop it at the end.")
_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
_model = _option("model_name", "Registered model in MLflow.")


@cli.command("run")
@_option("data", "Folder, manifest (.csv, .parquet), or the word synthetic.")
@_option("strategy", f"{', '.join(STRATEGIES)}, or your own package.module:function.")
@_option("rounds", "Trainings; each but the last is followed by a batch.", click.IntRange(1))
@_option("batch", "Castings to label a round.", click.IntRange(1))
@_option("initial", "Castings labelled before the first training.", click.IntRange(2))
@_option("seed", "Of initial labels, weights and draws.", click.IntRange(0))
@_option("split", "Keep a given split, or split by part.", click.Choice(["given", "by-part"]))
@_option("split_seed", "Of the split by part.", int)
@_option("cold_start", "First batch: random, or a strategy that needs no labels yet.")
@_option(
    "audit_share",
    "Share of labels that measure, not train.",
    click.FloatRange(0, 1),
)
@_option("passes", "Dropout passes K.", click.IntRange(1, 1000))
@_option("steps", "SGD steps a training; 0: the recipe chooses.", click.IntRange(0))
@_option("image_size", "Edge of the network's input in pixels.", click.IntRange(32, 1024))
@_option("backbone", "Network.", click.Choice(sorted(BACKBONES)))
@_option("weights", "Starting weights: scratch, imagenet, or a safetensors file.")
@_option("good", "Class that means no defect; auto: the one that starts with ok or good.")
@_option("classes", "All class names, comma-separated; auto: those of the data.")
@_model
@_service
@_option("campaign", "Name; auto: made of data, strategy and seed.")
@_prints_json
def run_command(**options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Run a campaign: rounds of train, acquire, label. The same command continues it.

    Example: python -m jobs run --data castings/ --strategy bald --rounds 6
    """
    asked = RunOptions(**options)
    with real_context() as context, hold_campaign(ledger_url(), asked.name):
        return run(context, asked)


@cli.command("train")
@_campaign
@_prints_json
def train_command(campaign: str) -> dict[str, Any]:
    """Train a campaign's next round on its labels and register a version.

    Example: python -m jobs train --campaign synthetic-bald-0
    """
    with _job(campaign) as (context, opened, now):
        return asdict(train_round(context, opened, ask_oracle(context, opened, now)))


@cli.command("acquire")
@_campaign
@_service
@_prints_json
def acquire_command(campaign: str, service_url: str) -> dict[str, Any]:
    """Rank the unlabelled pool through the service and record the batch to label.

    Example: python -m jobs acquire --service-url http://127.0.0.1:3000
    """
    with _job(campaign, service_url) as (context, opened, now):
        found = ask(context, opened, now)
        awaiting = read_state(context, opened).unlabelled()
        return {
            "campaign": opened.options.name,
            "state": "awaiting labels" if found else "no castings are left to ask for",
            "batch": [{**asdict(a), "path": opened.casting(a.casting).paths[0]} for a in awaiting],
        }


@cli.group("label")
def label_group() -> None:
    """Exchange labels with people: export what awaits them, import what they say.

    Example: python -m jobs label export labels.csv
    """


@label_group.command("export")
@_file
@_campaign
@_prints_json
def label_export_command(file: Path, campaign: str) -> dict[str, Any]:
    """Write the castings that await a label to a CSV file.

    Example: python -m jobs label export labels.csv
    """
    with _consulted(campaign) as (_, opened, now):
        return {"campaign": opened.options.name, "awaiting": export_labels(opened, now, file)}


@label_group.command("import")
@_file
@_campaign
@_prints_json
def label_import_command(file: Path, campaign: str) -> dict[str, Any]:
    """Take in a CSV file of labels: casting,label, and optionally annotator.

    Example: python -m jobs label import labels.csv
    """
    with _consulted(campaign) as (context, opened, now):
        return {"campaign": opened.options.name, **import_labels(context, opened, now, file)}


@label_group.command("status")
@_campaign
@_prints_json
def label_status_command(campaign: str) -> dict[str, Any]:
    """Count what was asked for, what has labels, and what awaits them.

    Example: python -m jobs label status
    """
    with _consulted(campaign) as (_, opened, now):
        return label_status(opened, now)


@cli.command("promote")
@_campaign
@_model
@click.option("--version", "number", default="auto", help="auto: the campaign's latest version.")
@click.option("--rollback", is_flag=True, help="Go back to the version before the current one.")
@_prints_json
def promote_command(campaign: str, model_name: str, number: str, rollback: bool) -> dict[str, Any]:
    """Point the alias `current`, which the service follows, at a version.

    Example: python -m jobs promote --version 3
    """
    command = click.get_current_context()
    if rollback and number != "auto":
        command.fail("give either --version N or --rollback")
    with real_context() as context:
        if rollback:
            return asdict(roll_back(context, model_name))
        if number != "auto":
            return asdict(promote(context, model_name, number))
        options = recorded_options(context, campaign)
        if model_name not in {options.model_name, _DEFAULTS["model_name"]}:
            command.fail(f"--model-name: campaign {options.name} trains {options.model_name}")
        return asdict(promote_latest(context, options))


@cli.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@_model
@click.option("--version", "number", default="auto", help="auto: the current one.")
@_prints_json
def export_command(folder: Path, model_name: str, number: str) -> dict[str, Any]:
    """Write a version to a new folder, which the service can serve without MLflow.

    Example: python -m jobs export exported --version 3
    """
    with real_context() as context:
        return {"folder": str(folder), **asdict(export(context, model_name, number, folder))}


@flags_of_compare(run_command)
@cli.command("compare")
@_prints_json
def compare_command(**options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Compare strategies over seeds: run the campaigns that are missing, then table and figure.

    Example: python -m jobs compare --data castings/ --strategies random,bald --seeds 0-9
    """
    asked = CompareOptions.parse(options)
    with real_context() as context, hold_campaign(ledger_url(), asked.name):
        crew = Workers(asked.jobs or os.cpu_count() or 1, context.say)
        return compare(context, asked, crew)


@cli.command("check-strategy")
@click.argument("strategy")
@_prints_json
def check_strategy_command(strategy: str) -> dict[str, Any]:
    """Try a strategy of your own on made-up castings, as every strategy of the table is tried.

    Example: python -m jobs check-strategy my_strategies:unsure_and_usual
    """
    return {"strategy": strategy, "passed": require_checks(find_strategy(strategy))}


@cli.command("synthesize")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--parts", default=_SPEC.parts, help="Physical parts.")
@click.option("--shots", default=_SPEC.shots, help="Photographs of a part, at most.")
@click.option("--defect-share", default=_SPEC.defect_share, help="Share of defective parts.")
@click.option("--size", default=_SPEC.size, help="Edge of an image in pixels.")
@click.option("--seed", default=_SPEC.seed, help="Another seed gives other castings.")
@_prints_json
def synthesize_command(folder: Path, **spec: Any) -> dict[str, Any]:  # noqa: ANN401
    """Write the synthetic castings, their masks and a manifest to a folder.

    Example: python -m jobs synthesize castings --parts 100 --defect-share 0.01
    """
    manifest = synthesize(SyntheticSpec(**spec), new(folder))
    return {"manifest": str(manifest), **asdict(SyntheticSpec(**spec))}
