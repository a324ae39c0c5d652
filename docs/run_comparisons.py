"""Run the comparisons behind docs/strategies.md, and write their results into that page.

    python docs/run_comparisons.py CASTING MAGNETIC_TILE [NAME ...]

The arguments are the folders of the public data sets, which are not part of this repository, and
the comparisons to run, all by default. It takes some three hours on two cores. Killed and started
again it goes on: what is finished is not run twice. Commit the page after each.
"""

import csv
import hashlib
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs.comparisons import section, splits  # noqa: E402 -- the packages are run from the root
from jobs.processes.child_process import end_children, start_child  # noqa: E402

WORK = Path("comparisons")  # manifests, below the folder of ledger and MLflow store
MOST_PER_PART = 14  # castings of one photograph: pools of some 1,500
MAIN = "random,bald,margin,badge,typiclust,uherding"
OTHERS = (
    "random,least-confidence,entropy,dbal,variation-ratio,power-bald,ensemble,epig,batchbald,"
    "coreset,probcover,maxherding,dropquery,clue,vaal,novelty,diverse-bald"
)
SIZES = "--initial 20 --batch 20 --rounds 10"
SPLITS = "--strategies random,bald --seeds 0-4 --initial 20 --batch 20 --rounds 6 --split given"
RARE = "--parts 4000 --shots 1 --defect-share 0.01"


@dataclass(frozen=True)
class Comparison:
    """One of the page: which castings, which strategies, how often."""

    title: str
    castings: Callable[[Path, Path], Path]
    strategies: str
    seeds: str


def castings_by_part(castings: Path, _: Path) -> Path:
    """A manifest of the castings, at most `MOST_PER_PART` of a photograph, drawn by hash."""
    source = castings / "manifest.csv"
    parts: dict[str, list[dict[str, str]]] = defaultdict(list)
    with source.open() as lines:
        for row in csv.DictReader(lines):
            parts[row["part"]].append(row)
    rows = []
    for _part, copies in sorted(parts.items()):
        copies.sort(key=lambda row: hashlib.sha256(row["path"].encode()).digest())
        rows += [row | {"path": str(castings / row["path"])} for row in copies[:MOST_PER_PART]]
    manifest = WORK / "castings-by-part.csv"
    with manifest.open("w", newline="") as file:
        table = csv.DictWriter(file, ["path", "label", "part"])
        table.writeheader()
        table.writerows(rows)
    return manifest


def tiles(_: Path, magnetic_tile: Path) -> Path:
    """The manifest of the magnetic tiles."""
    return magnetic_tile / "manifest.csv"


def rare_defects(_castings: Path, _tiles: Path) -> Path:
    """Synthetic castings of which one in a hundred is defective."""
    folder = WORK / "rare-defects"
    if not folder.exists():  # it appears whole or not at all
        run("synthesize", str(folder), *RARE.split())
    return folder / "manifest.csv"


COMPARISONS = {
    "castings-by-part": Comparison("Castings, split by part", castings_by_part, MAIN, "0-9"),
    "magnetic-tile": Comparison("Magnetic tiles, six classes, by tile", tiles, MAIN, "0-9"),
    "rare-defects": Comparison("Synthetic castings, 1 % defective", rare_defects, MAIN, "0-9"),
    "every-strategy": Comparison(
        "Every other strategy, on magnetic tiles: no claim", tiles, OTHERS, "0-2"
    ),
}


def run(*arguments: str) -> None:
    """Run a verb of the jobs, which ends with us."""
    job = start_child([sys.executable, "-m", "jobs", *arguments], os.environ, sys.stderr)
    try:
        if code := job.wait():
            sys.exit(code)
    finally:
        end_children(job)


def two_splits(castings: Path) -> None:
    """The same castings split by part, as the manifest names them, and as published."""
    for data in (castings / "manifest.csv", castings):
        run("compare", *SPLITS.split(), f"--data={data}")
    splits("splits.png", "compare-casting-manifest", "compare-casting", "test/balanced_accuracy")


def main() -> None:
    """Run comparisons in turn, and write each into the page when it is done."""
    if len(sys.argv) < 3:  # noqa: PLR2004 -- the two folders
        sys.exit(__doc__)
    castings, magnetic_tile = (Path(folder).resolve() for folder in sys.argv[1:3])
    WORK.mkdir(exist_ok=True)
    for name in sys.argv[3:] or [*COMPARISONS, "splits"]:
        if name == "splits":
            two_splits(castings)
            continue
        comparison = COMPARISONS[name]
        data = comparison.castings(castings, magnetic_tile)
        flags = {
            "campaign": name,
            "data": str(data),
            "strategies": comparison.strategies,
            "seeds": comparison.seeds,
        }
        given = [f"--{flag}={value}" for flag, value in flags.items()]
        run("compare", *given, *SIZES.split())
        section(name, comparison.title)


if __name__ == "__main__":
    main()
