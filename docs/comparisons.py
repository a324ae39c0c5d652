"""Write the results of comparisons into the docs, from MLflow and the ledger; no number by hand.

    python docs/comparisons.py section NAME [TITLE [RUN]]
    python docs/comparisons.py splits FILE BY-PART PUBLISHED [MEASURE]

`section` writes a comparison's table, figure, command, machine, versions and seeds into
docs/strategies.md: between `<!-- NAME -->` and `<!-- /NAME -->`, or at its end. It is the newest
of that name, or that of an MLflow run. `splits` draws two comparisons of the same castings side by
side: split by part, from a manifest that names the parts, and as published, from a folder; it
counts the test castings whose part the published split trains on.
"""

import json
import os
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow import MlflowClient  # noqa: E402 -- the packages are run from the root
from mlflow.artifacts import download_artifacts  # noqa: E402

from jobs import progress  # noqa: E402
from jobs.adapters.environment import ledger_url  # noqa: E402
from jobs.adapters.ledger import Ledger  # noqa: E402
from jobs.compare.curves import Curves, gather  # noqa: E402
from jobs.compare.figure import Panel, learning_bands  # noqa: E402
from jobs.compare.statistics import NO_CLAIM, SEEDS_TO_CLAIM, Band, band  # noqa: E402
from jobs.compare.table import markdown  # noqa: E402
from jobs.datasets.reader import read_data_set  # noqa: E402
from jobs.datasets.split import leaked_test_castings  # noqa: E402
from jobs.options import RunOptions  # noqa: E402
from models.evaluation import figures  # noqa: E402

FIGURES = ROOT / "docs" / "figures"
PAGE = ROOT / "docs" / "strategies.md"


def section(name: str, title: str = "", run_id: str = "") -> None:
    """Write a comparison's part of the page, and its figure."""
    artifacts = Path(download_artifacts(run_id=run_id or newest_run(name)))
    FIGURES.mkdir(exist_ok=True)
    (FIGURES / f"{name}.png").write_bytes((artifacts / "comparison.png").read_bytes())
    result = json.loads((artifacts / "comparison.json").read_text())
    result["command"] = portable(result["command"])
    text = f"## {title or name}\n\n![{name}](figures/{name}.png)\n\n{markdown(result)}"
    PAGE.write_text(with_part(PAGE.read_text() if PAGE.exists() else "", name, text))


def newest_run(name: str) -> str:
    """The MLflow run of the comparison of that name that ended last."""
    client = MlflowClient()
    experiments = [e.experiment_id for e in client.search_experiments()]
    where = f"tags.comparison = '{name}' and attributes.status = 'FINISHED'"
    runs = client.search_runs(experiments, where, order_by=["attributes.end_time DESC"])
    if not runs:
        sys.exit(f"no finished comparison {name} in {os.environ['MLFLOW_TRACKING_URI']}")
    return str(runs[0].info.run_id)


def portable(command: str) -> str:
    """The command with files and folders of this machine as the docs call them.

    An absolute path keeps its last folder, and a file's name: `casting/manifest.csv`, `casting`.
    """
    words = shlex.split(command)
    for at, word in enumerate(words):
        if (path := Path(word)).is_absolute():
            words[at] = f"{path.parent.name}/{path.name}" if path.suffix else path.name
    return shlex.join(words)


def with_part(page: str, name: str, text: str) -> str:
    """The page with the part of that name replaced, or added at the end."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(page):
        return pattern.sub(lambda _: begin + text + end, page)
    return f"{page.rstrip()}\n\n{begin}{text}{end}".lstrip()


def splits(file: str, by_part: str, published: str, measure: str = "test/accuracy") -> None:
    """Draw a comparison on castings split by part beside one on the published split."""
    ledger = Ledger(ledger_url())
    honest, source = curves_of(ledger, by_part, measure)
    flattering, folder = curves_of(ledger, published, measure)
    warning = leak(ledger, source, folder)
    ledger.close()
    panels = [
        Panel(title, measure, curves.labels_T, bands_of(curves))
        for title, curves in (
            ("split by part", honest),
            (f"published split\n{warning}", flattering),
        )
    ]
    seeds = min(len(c.by_strategy[c.reference]) for c in (honest, flattering))
    claim = f"; {NO_CLAIM}" if seeds < SEEDS_TO_CLAIM else ""
    note = f"{seeds} seeds, bands: 95% t interval of the mean{claim}"
    title = "The same strategies on the same castings, split in two ways"
    figure = learning_bands(panels, title, note, same_y=True)
    FIGURES.mkdir(exist_ok=True)
    (FIGURES / file).write_bytes(figures.png(figure))


def bands_of(curves: Curves) -> dict[str, Band]:
    """The band of every strategy."""
    return {name: band(values_S_T) for name, values_S_T in curves.by_strategy.items()}


def curves_of(ledger: Ledger, name: str, measure: str) -> tuple[Curves, str]:
    """What the campaigns of a comparison measured, and their data set."""
    points, source = {}, ""
    for row in ledger.campaigns():
        options = RunOptions.recorded(row.name, row.options, row.rounds)
        if row.name == f"{name}-{options.suffix}":
            trained = ledger.rounds(row.name)
            if len(trained) < row.rounds:
                sys.exit(f"{row.name} is not finished: run its comparison again")
            source = options.source
            points[options.strategy, options.seed] = [
                (t.labels_total, t.metrics[measure]) for t in trained
            ]
    if not points:
        sys.exit(f"no campaigns of a comparison {name} in {ledger_url()}")
    names = sorted({name for name, _ in points}, key=lambda name: (name != "random", name))
    seeds = sorted(set.intersection(*({s for n, s in points if n == name} for name in names)))
    paired = {(name, seed): points[name, seed] for name in names for seed in seeds}
    return gather(measure, paired, names[0]), source


def leak(ledger: Ledger, manifest: str, folder: str) -> str:
    """How many test castings of the folder show a part, known by the manifest, of its train."""
    known = ledger.seen()
    named = read_data_set(Path(manifest), known, progress.silent).castings
    part = {casting.id: casting.part for casting in named}
    castings = read_data_set(Path(folder), known, progress.silent).castings
    sides = {casting.id: casting.side or "train" for casting in castings}
    leaked = leaked_test_castings([replace(c, part=part.get(c.id)) for c in castings], sides)
    test = sum(side == "test" for side in sides.values())
    return f"WARNING: {leaked} of {test} test images show a photograph that is in train too"


def main() -> None:
    """Do what the arguments say."""
    match sys.argv[1:]:
        case ["section", name, *rest] if len(rest) <= 2:  # noqa: PLR2004
            section(name, *rest)
        case ["splits", file, by_part, published, *rest] if len(rest) <= 1:
            splits(file, by_part, published, *rest)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
