import pytest
from click.testing import CliRunner

from jobs.cli import cli

VERBS = [*cli.commands, *(f"label {name}" for name in cli.commands["label"].commands)]


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_with_an_example_and_its_defaults(runner: CliRunner, verb: str):
    shown = runner.invoke(cli, [*verb.split(), "--help"])
    assert shown.exit_code == 0
    assert f"castings {verb}" in " ".join(shown.output.split())
    command = cli
    for word in verb.split():
        command = command.commands[word]
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert getattr(parameter, "help", None)


def test_a_wrong_option_is_a_usage_error(runner: CliRunner):
    assert runner.invoke(cli, ["run", "--rounds", "0"]).exit_code == 2
    assert runner.invoke(cli, ["promote", "--rollback", "--version", "1"]).exit_code == 2
