"""Write the generated parts of the pages from the program itself, or check that they are current.

    python docs/generate.py [--check]

The pages are README.md and docs/*.md. A part lies between `<!-- NAME -->` and `<!-- /NAME -->`;
each name below stands on exactly one page.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from jobs.cli import cli  # noqa: E402 -- the packages are run from the repository root
from models.acquisition.strategies.table import STRATEGIES, find_strategy  # noqa: E402
from models.acquisition.strategy import needs_of  # noqa: E402

BENCHMARKS = ROOT / "docs" / "benchmarks"
RANKING = "| ranking, "
RANKED = "| ranking, 300x300 at 128 px |"  # of the rankings, those shown outside speed.md
FOLDERS = ("models", "jobs", "service", "benchmarks", "docs")
PART = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- /\2 -->)", re.DOTALL)


def verbs(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name; a group is told by its members."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from verbs(command, f"{prefix}{name} ")
        elif command is not None:
            yield prefix + name, command


def commands() -> str:
    """Each verb with the first sentence of its help."""
    rows = [
        f"| `castings {name}` | {command.get_short_help_str(200)} |"
        for name, command in sorted(verbs(cli))
    ]
    return "\n".join(["| command | does |", "|---|---|", *rows])


def options() -> str:
    """The options of `run` with their defaults."""
    rows = [
        f"| `{parameter.opts[0]}` | `{parameter.default}` | {parameter.help} |"
        for parameter in dict(verbs(cli))["run"].params
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


def startup() -> str:
    """What `make bench` has measured of commands that compute nothing."""
    return (BENCHMARKS / "startup.md").read_text().strip()


def speed() -> str:
    """The table of `make bench`, with the rankings of castings as they are published alone."""
    lines = (BENCHMARKS / "speed.md").read_text().splitlines()
    return "\n".join(
        line for line in lines if not line.startswith(RANKING) or line.startswith(RANKED)
    )


def layers() -> str:
    """The layers that import-linter holds, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    drawn = [
        "\n".join([f"{contract['name']}:", *(f"    {layer}" for layer in contract["layers"])])
        for contract in contracts["contracts"]
        if contract["type"] == "layers"
    ]
    return "```\n" + "\n\n".join(drawn) + "\n```"


def house() -> str:
    """Every folder with its modules, each with the first line of its docstring."""
    return "\n".join(line for name in FOLDERS for line in rooms(ROOT / name, 0))


def rooms(folder: Path, depth: int) -> Iterator[str]:
    """A folder as a list, its modules before its folders; a folder without Python is left out."""
    modules = {path.stem: first_line(path) for path in sorted(folder.glob("*.py"))}
    said = modules.pop("__init__", "")
    below = [line for inner in sorted(folder.iterdir()) for line in rooms_of(inner, depth + 1)]
    if modules or below:
        yield f"{'  ' * depth}- **{folder.name}/** {said}".rstrip()
        yield from (f"{'  ' * depth}  - `{name}.py` {text}" for name, text in modules.items())
        yield from below


def rooms_of(path: Path, depth: int) -> Iterator[str]:
    """Those of a path that is a folder."""
    if path.is_dir():
        yield from rooms(path, depth)


def first_line(module: Path) -> str:
    """Of a module's docstring."""
    return (ast.get_docstring(ast.parse(module.read_text())) or "").partition("\n")[0]


PARTS = {
    make.__name__: make
    for make in (commands, options, strategies, speed, serving, startup, layers, house)
}


def current(page: str) -> str:
    """The page with every generated part made anew."""

    def made(part: re.Match[str]) -> str:
        make = PARTS.get(part[2])
        return part[0] if make is None else f"{part[1]}{make()}\n{part[3]}"

    return PART.sub(made, page)


def main() -> None:
    """Write, or with --check refuse when something would change."""
    pages = {p: p.read_text() for p in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]}
    there = [part[2] for page in pages.values() for part in PART.finditer(page)]
    if misplaced := [name for name in PARTS if there.count(name) != 1]:
        sys.exit(f"parts that do not stand on exactly one page: {', '.join(misplaced)}")
    changed = {path: text for path, old in pages.items() if (text := current(old)) != old}
    if changed and "--check" in sys.argv[1:]:
        names = ", ".join(path.name for path in changed)
        sys.exit(f"{names}: not current; run `make format` and commit it")
    for path, text in changed.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
