"""The flags of compare."""

import click

from jobs.commands.campaign import run_command
from jobs.commands.compare import compare_command
from jobs.compare.options import CompareOptions


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {p.name: p for p in command.params if isinstance(p, click.Option) and p.name}


def test_compare_takes_every_option_of_run_but_strategy_and_seed():
    shared = options_of(run_command).keys() - {"strategy", "seed", "dry_run"}
    own = {"strategies", "seeds", "measure", "target", "jobs"}
    assert options_of(compare_command).keys() == shared | own


def test_its_defaults_are_those_of_a_comparison():
    defaults = CompareOptions().parameters()
    assert {k: o.default for k, o in options_of(compare_command).items()} == defaults


def test_the_options_of_run_keep_their_own_defaults():
    assert options_of(run_command)["model_name"].default == "casting-defects"
    assert options_of(compare_command)["model_name"].default == "casting-comparisons"
