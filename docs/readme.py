"""Write the generated parts of README.md from the program itself, or check that they are current.

A part lies between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from jobs.cli import cli  # noqa: E402 -- the packages are run from the repository root
from models.acquisition.strategies.table import STRATEGIES, find_strategy  # noqa: E402
from models.acquisition.strategy import needs_of  # noqa: E402

README = ROOT / "README.md"
BENCHMARKS = ROOT / "docs" / "benchmarks"
RANKING = "| ranking, "
RANKED = "| ranking, 300x300 at 128 px |"  # of the rankings, those in the README


def verbs(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name; a group is told by its members."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from verbs(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def commands() -> str:
    """Each verb with the first sentence of its help."""
    rows = [
        f"| `python -m jobs {name}` | {command.get_short_help_str(200)} |"
        for name, command in verbs(cli)
    ]
    return "\n".join(["| command | does |", "|---|---|", *rows])


def options() -> str:
    """The options of `run` with their defaults."""
    rows = [
        f"| `{parameter.opts[0]}` | `{parameter.default}` | {parameter.help} |"
        for parameter in cli.commands["run"].params
        if isinstance(parameter, click.Option)
    ]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows])


def strategies() -> str:
    """The table of strategies, with what each needs of the service."""
    rows = [
        f"| `{name}` | {(strategy.__doc__ or '').splitlines()[0]} | "
        f"{', '.join(f'`{need}`' for need in needs_of(strategy)) or 'nothing'} |"
        for name, strategy in ((name, find_strategy(name)) for name in STRATEGIES)
    ]
    return "\n".join(["| strategy | asks for | needs |", "|---|---|---|", *rows])


def serving() -> str:
    """What `make bench` has measured under load; the machine and the versions stand above it."""
    return (BENCHMARKS / "serving.md").read_text().strip()


def speed() -> str:
    """The table of `make bench`, with the rankings of castings as they are published alone."""
    lines = (BENCHMARKS / "speed.md").read_text().splitlines()
    return "\n".join(
        line for line in lines if not line.startswith(RANKING) or line.startswith(RANKED)
    )


def current(text: str) -> str:
    """The README with every generated part made anew."""
    for part in (commands, options, strategies, speed, serving):
        name = part.__name__
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, found = re.subn(
            pattern, lambda m, p=part: m[1] + p() + "\n" + m[2], text, flags=re.DOTALL
        )
        if found != 1:
            sys.exit(f"README.md has {found} parts named {name}, expected 1")
    return text


def main() -> None:
    """Write, or with --check refuse when something would change."""
    text = README.read_text()
    if "--check" not in sys.argv[1:]:
        README.write_text(current(text))
    elif current(text) != text:
        sys.exit("README.md is not current: run `make format` and commit it")


if __name__ == "__main__":
    main()
