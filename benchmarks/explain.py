"""How often the map of `POST /explain` points at the defect, and how often chance would.

    python -m benchmarks.explain                  # synthetic castings, some minutes of training
    python -m benchmarks.explain MAGNETIC_TILE    # and a folder with manifest.csv: path,label,mask

A network is trained on some labels; of the other castings, by part, those count that are defective
and rejected. A hit: the map's highest cell is a cell of the defect's mask or next to one. Chance
is the share of such cells. The map that is served stands beside what a larger input would give.
"""

import argparse
import csv
import io
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.castings import at_the_start, with_head
from benchmarks.machine import machine
from jobs.datasets.synthetic.castings import draw_castings
from jobs.datasets.synthetic.spec import SyntheticSpec
from models.evaluation.operating_point import verdicts
from models.images import decode
from models.prediction.class_activation_map import logit_maps, nearest_cells
from models.prediction.predictor import Predictor

GOOD, WHITE = "ok", 128
HITS = 0.8
SIZES = (128, 256)  # the first is served


class Measured(TypedDict):
    """About the maps of rightly rejected castings: shares in 0..1, time of one."""

    map: str
    rejected: int
    hits: float
    chance: float
    milliseconds: float


@dataclass(frozen=True)
class Labelled:
    """A casting with its truth; the mask is `[height, width]`, empty where it is good."""

    data: bytes
    label: str
    part: str
    mask: NDArray[np.bool_]


def synthetic(parts: int = 500, seed: int = 7) -> Iterator[Labelled]:
    """Castings drawn on the spot."""
    for casting in draw_castings(SyntheticSpec(parts=parts, shots=2, seed=seed)):
        file = io.BytesIO()
        Image.fromarray(casting.image).save(file, "PNG")
        yield Labelled(file.getvalue(), casting.label, casting.part, casting.mask)


def magnetic_tile(folder: Path) -> Iterator[Labelled]:
    """The castings of a manifest with masks."""
    with (folder / "manifest.csv").open(newline="") as manifest:
        for row in csv.DictReader(manifest):
            mask = np.zeros((1, 1), np.bool_)
            if row["mask"]:
                with Image.open(folder / row["mask"]) as drawn:
                    mask = np.asarray(drawn.convert("L")) >= WHITE
            yield Labelled((folder / row["path"]).read_bytes(), row["label"], row["part"], mask)


def split(castings: list[Labelled], labels: int) -> tuple[list[Labelled], list[Labelled]]:
    """At least `labels` castings to train on, and the others; parts stay whole."""
    parts = sorted({casting.part for casting in castings})
    random.Random(0).shuffle(parts)  # noqa: S311 -- no secret
    place = {part: i for i, part in enumerate(parts)}
    ordered = sorted(castings, key=lambda casting: place[casting.part])
    last = place[ordered[labels - 1].part]
    cut = sum(place[casting.part] <= last for casting in ordered)
    return ordered[:cut], ordered[cut:]


def train(castings: list[Labelled], size: int = SIZES[0]) -> Predictor:
    """A head fitted to all of them."""
    classes = tuple(sorted({casting.label for casting in castings}))
    begun = at_the_start(classes, GOOD, size)
    pixels_N = torch.stack([decode(casting.data, begun.preprocessing) for casting in castings])
    targets_N = torch.tensor([classes.index(casting.label) for casting in castings])
    return with_head(begun, pixels_N, targets_N, [casting.part for casting in castings])


def rejected(predictor: Predictor, castings: list[Labelled]) -> tuple[list[Labelled], list[int]]:
    """The defective castings that are rejected, each with its likeliest defect."""
    defective = [casting for casting in castings if casting.label != GOOD]
    pixels_N = torch.stack([decode(c.data, predictor.preprocessing) for c in defective])
    probs_N_C = predictor.deterministic(predictor.embed(pixels_N))
    verdict_N = verdicts(probs_N_C, predictor.good, predictor.operating.threshold)
    rows = (verdict_N != predictor.good).nonzero().flatten().tolist()
    return [defective[i] for i in rows], verdict_N[rows].tolist()


def near_defect(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Which cells `[H, W]` hold some of the mask, or are next to one that does."""
    rows, columns = np.nonzero(mask)
    down, across = (nearest_cells(side, size).numpy() for side in mask.shape)
    cells = np.zeros((down[-1] + 3, across[-1] + 3), np.bool_)
    for i in range(3):
        for j in range(3):
            cells[down[rows] + i, across[columns] + j] = True
    return cells[1:-1, 1:-1]


def measure(predictor: Predictor, castings: list[Labelled], size: int) -> Measured:
    """Hit rate and chance of the maps at an input of `size`."""
    shown, classes = rejected(predictor, castings)
    larger = replace(predictor, preprocessing=replace(predictor.preprocessing, size=size))
    good = predictor.classes.index(GOOD)
    hits, chances, started = [], [], time.process_time()
    for casting, defect in zip(shown, classes, strict=True):
        pixels = decode(casting.data, larger.preprocessing)
        maps_C_H_W = logit_maps(larger, pixels.unsqueeze(0))[0]
        log_odds_HW = maps_C_H_W[defect] - maps_C_H_W[good]
        near_HW = near_defect(casting.mask, size)
        hits.append(near_HW.flat[int(log_odds_HW.argmax())])
        chances.append(near_HW.mean())
    seconds = (time.process_time() - started) / max(1, len(shown))
    return {
        "map": f"{near_HW.shape[0]}x{near_HW.shape[1]}",
        "rejected": len(shown),
        "hits": float(np.mean(hits)),
        "chance": float(np.mean(chances)),
        "milliseconds": 1000 * seconds,
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("magnetic_tile", nargs="?", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine()}; a hit is a maximum within one cell of the defect\n")
    print("| castings | labels | input | map | rejected | hits | chance | bound | ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    sets = {"synthetic": (list(synthetic()), 500)}
    if given.magnetic_tile:
        sets["magnetic-tile"] = (list(magnetic_tile(given.magnetic_tile)), 600)
    for name, (castings, labels) in sets.items():
        trained_on, others = split(castings, labels)
        predictor = train(trained_on)
        for size in SIZES:
            served = size == SIZES[0]
            maps = measure(predictor, others, size)
            missed = " **missed**" * (maps["hits"] < HITS)
            bound = f"at least {HITS:.0%}{missed}" if served else ""
            print(
                f"| {name} | {len(trained_on)} | {size} px | {maps['map']} | "
                f"{maps['rejected']} | {maps['hits']:.0%} | {maps['chance']:.0%} | "
                f"{bound} | {maps['milliseconds']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
