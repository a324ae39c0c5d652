"""Count the product's lines of Python per package, and refuse what exceeds its budget.

The budgets are in pyproject.toml, `[tool.casting.lines]`.
"""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Print a line per package; exit 1 when one is over its budget."""
    budgets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["casting"]["lines"]
    lines = {
        package: sum(len(file.read_text().splitlines()) for file in (ROOT / package).rglob("*.py"))
        for package in budgets
    }
    for package, count in lines.items():
        print(f"{package}: {count:,} of {budgets[package]:,} lines")  # noqa: T201
    if over := [package for package, count in lines.items() if count > budgets[package]]:
        sys.exit(f"over budget: {', '.join(over)}; make it shorter, or raise it with a reason")


if __name__ == "__main__":
    main()
