"""The commands to try things out: check-strategy, synthesize."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from jobs.commands.frame import prints_json
from jobs.datasets.synthetic.spec import SyntheticSpec

_SPEC = SyntheticSpec()


@click.command("check-strategy")
@click.argument("strategy")
@prints_json
def check_strategy_command(strategy: str) -> dict[str, Any]:
    """Try a strategy of your own on made-up castings, as every strategy of the table is tried.

    Example: castings check-strategy my_strategies:unsure_and_usual
    """
    from models.acquisition.strategies.table import find_strategy
    from models.acquisition.strategy_checks import require_checks

    return {"strategy": strategy, "passed": require_checks(find_strategy(strategy))}


@click.command("synthesize")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--parts", default=_SPEC.parts, help="Physical parts.")
@click.option("--shots", default=_SPEC.shots, help="Photographs of a part, at most.")
@click.option("--defect-share", default=_SPEC.defect_share, help="Share of defective parts.")
@click.option(
    "--hardness",
    default=_SPEC.hardness,
    help="0: blatant defects; 1: small and faint ones, and strong look-alikes.",
)
@click.option("--size", default=_SPEC.size, help="Edge of an image in pixels.")
@click.option("--seed", default=_SPEC.seed, help="Another seed gives other castings.")
@prints_json
def synthesize_command(folder: Path, **spec: Any) -> dict[str, Any]:  # noqa: ANN401
    """Write the synthetic castings, their masks and a manifest to a folder.

    Example: castings synthesize castings --parts 100 --defect-share 0.01
    """
    from jobs.datasets.synthetic.folder import new, synthesize

    manifest = synthesize(SyntheticSpec(**spec), new(folder))
    return {"manifest": str(manifest), **asdict(SyntheticSpec(**spec))}
