"""The command compare: its own flags, and those of run that all its campaigns share."""

import copy
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from jobs.adapters.context import real_context
from jobs.adapters.environment import of_children
from jobs.commands.campaign import run_command
from jobs.commands.frame import holding, prints_json
from jobs.compare.options import CompareOptions

_OWN = CompareOptions()
_OF_CAMPAIGNS = {k: v for k, v in asdict(_OWN.campaign).items() if k not in {"strategy", "seed"}}
_HELP = {
    "split": "by-part: every seed has its own; given: all seeds share one test side.",
    "split_seed": "Of the split by part; with by-part a seed's number is added.",
    "model_name": "Registered model in MLflow, not the one that production serves.",
    "campaign": "What the campaigns' names begin with; auto: compare and the data set.",
}


def _flag(name: str, text: str, kind: click.ParamType[int] | None = None) -> click.Option:
    default = getattr(_OWN, name)
    return click.Option([f"--{name}"], default=default, help=text, type=kind, show_default=True)


def _flags_of_run() -> Iterator[click.Parameter]:
    """The flags of `run` that all campaigns share, with the defaults of a comparison."""
    for parameter in map(copy.copy, run_command.params):
        name = str(parameter.name)
        if name in _OF_CAMPAIGNS:
            parameter.default = _OF_CAMPAIGNS[name]
            if isinstance(parameter, click.Option):
                parameter.help = _HELP.get(name, parameter.help)
            yield parameter


_FLAGS = [
    _flag("strategies", "Names, comma-separated."),
    _flag("seeds", "Numbers and ranges: 0-9 or 0,3,5-7."),
    _flag("measure", "What claims rest on: balanced-accuracy, auroc, or any metric of a round."),
    _flag("target", "Value that labels are counted up to; auto: 0.95, or random's last."),
    _flag("jobs", "Worker processes; 0: one a core.", click.IntRange(0)),
    *_flags_of_run(),
]


@click.command("compare", params=_FLAGS)
@prints_json
def compare_command(**options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Compare strategies over seeds: run the campaigns that are missing, then table and figure.

    Example: castings compare --data castings/ --strategies random,bald --seeds 0-9
    """
    from jobs.compare.compare import compare
    from jobs.compare.workers import Workers
    from jobs.processes.local_service import local_service

    asked = CompareOptions.parse(options)
    with real_context() as context, holding(asked.name):
        count = asked.jobs or os.cpu_count() or 1
        workers = Workers(count, context.say, local_service, of_children())
        return compare(context, asked, workers)
