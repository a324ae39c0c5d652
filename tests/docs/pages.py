"""The pages of the docs, and the commands that stand in them."""

import re
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click

from jobs.cli import cli

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
JOBS = (["castings"], ["python", "-m", "jobs"])
_BETWEEN_COMMANDS = {"&&", "|", ";"}


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the first words name, and its arguments.

    Raises:
        click.UsageError: there is no such command.
    """
    command: click.Command = cli
    while isinstance(command, click.Group):
        context = click.Context(command)
        _, inner, words = command.resolve_command(context, words)
        assert inner is not None
        command = inner
    return command, words


def judge(words: list[str]) -> None:
    """Let Click judge a verb with its arguments, placeholders and all.

    Raises:
        click.UsageError: the words are no command.
    """
    command, arguments = command_of(words)
    command.make_context("castings", arguments)


def commands(page: Path) -> Iterator[list[str]]:
    """Every command of a page's blocks of code, in words, without its comment."""
    text = page.read_text()
    for block in re.findall(r"```(?:bash|console)\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            for between, command in groupby(words, _BETWEEN_COMMANDS.__contains__):
                if not between:
                    yield list(command)


def commands_of_jobs(page: Path) -> Iterator[list[str]]:
    """The words after `castings` or `python -m jobs` in blocks of code."""
    return filter(None, map(_after_jobs, commands(page)))


def mentions_of_jobs(page: Path) -> Iterator[list[str]]:
    """The same between words, where a verb stands for itself or with all that belongs to it."""
    for span in re.findall(r"`((?:castings|python -m jobs) [^`]+)`", page.read_text()):
        words = _after_jobs(shlex.split(span))
        if words and words[0] not in {"--help", "VERB"}:
            yield words


def _after_jobs(words: list[str]) -> list[str]:
    start = next((start for start in JOBS if words[: len(start)] == start), words)
    return words[len(start) :]
