"""What is learnt from few labels: castings by part, tiles by tile, synthetic castings.

    python -m benchmarks.learner castings=CASTING/manifest.csv tiles=TILES/manifest.csv
    python -m benchmarks.learner --train head,all --labels 100 --seeds 0-2 synthetic=FOLDER

A new split by part with every seed, labels drawn at random, at most one casting per part in a
batch of 20, the head and the standardisation of the product; embeddings are kept in
`--embeddings`. Mean over seeds of accuracy / balanced accuracy / AUROC of P(defect) in %, beside
the classifier that always says the commonest class of the test side.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.machine import machine
from jobs.campaign.learn import Lesson, held_out_losses
from jobs.datasets.castings import Casting, good_class
from jobs.datasets.reader import DataSet, load_pixels, read_data_set
from jobs.datasets.split import place_parts
from models.acquisition.candidates import Candidates
from models.acquisition.selection import choose_batch
from models.acquisition.strategies.random import random
from models.embeddings import EmbeddingStore
from models.evaluation.metrics import evaluate
from models.evaluation.operating_point import OperatingPoint
from models.network.device import use_threads
from models.network.spec import NetworkSpec
from models.network.standardise import Standardisation
from models.network.start import read_start
from models.prediction.predictor import MINIBATCH, Predictor
from models.training.fit import fit
from models.training.head import PENALTY, fit_head
from models.training.recipe import Recipe

BATCH = 20
MEASURES = ("accuracy", "balanced_accuracy", "auroc")
_PER_PART, _SAMPLE = 8, 2000  # as in `jobs.campaign.session`


@dataclass(frozen=True)
class Subject:
    """A data set as a start sees it."""

    name: str
    data: DataSet
    predictor: Predictor  # its head is 0, its standardisation of nobody
    pooled: dict[str, torch.Tensor]

    def rows(self, castings: Sequence[Casting]) -> torch.Tensor:
        """Pooled stages of castings."""
        return torch.stack([self.pooled[casting.id] for casting in castings])


def subject(name: str, source: Path, given: argparse.Namespace, kept: EmbeddingStore) -> Subject:
    """Read a data set and embed what is not kept."""
    data = read_data_set(source, {})
    classes = tuple(sorted({str(c.label) for c in data.castings}))
    spec = NetworkSpec(given.backbone, 1, len(classes))
    start = read_start(given.weights, spec)
    point = OperatingPoint(good_class(classes, "auto"))
    predictor = Predictor(start.network(spec), start.preprocessing(given.size), classes, point)
    pooled = kept.get(predictor.space, [c.id for c in data.castings])
    missing = [c for c in data.castings if c.id not in pooled]
    chunks = [missing[i : i + MINIBATCH] for i in range(0, len(missing), MINIBATCH)]

    def see(chunk: Sequence[Casting]) -> torch.Tensor:
        return predictor.pool(load_pixels(data, chunk, predictor.preprocessing))

    with ThreadPoolExecutor(torch.get_num_threads(), "", use_threads, (1,)) as threads:
        seen = threads.map(see, chunks)
        for chunk, vectors in zip(tqdm(chunks, f"embedding {name}"), seen, strict=True):
            ids = [c.id for c in chunk]
            kept.put(predictor.space, ids, vectors)
            pooled |= dict(zip(ids, vectors, strict=True))
    return Subject(name, data, predictor, pooled)


def random_order(castings: Sequence[Casting], count: int, seed: int) -> list[Casting]:
    """Castings as a campaign asks for them by `random`, a batch after the other."""
    generator, left, asked = torch.Generator().manual_seed(seed), list(castings), list[Casting]()
    while len(asked) < count and left:
        parts = [c.part_key for c in left]
        chosen = choose_batch(random, Candidates(len(left)), parts, BATCH, generator)
        asked += [left[i] for i in chosen]
        left = [c for i, c in enumerate(left) if i not in set(chosen)]
    return asked[:count]


def curve(
    of: Subject, seed: int, labels: Sequence[int], train: str, penalty: float
) -> Iterator[dict[str, float]]:
    """The metrics of one split after each count of labels."""
    placed = place_parts(of.data.castings, seed, {})
    sides = [placed[c.part_key].side for c in of.data.castings]
    pool = [c for c, side in zip(of.data.castings, sides, strict=True) if side == "train"]
    test = [c for c, side in zip(of.data.castings, sides, strict=True) if side == "test"]
    begun = replace(
        of.predictor, network=of.predictor.network.with_heads([*of.predictor.network.heads])
    )
    sample = _sample(pool)
    usual = Standardisation.of(of.rows(sample), [c.part_key for c in sample])
    begun.network.standardisations[0] = usual
    truth = np.array([begun.classes.index(str(c.label)) for c in test])
    asked = random_order(pool, max(labels), seed)
    for count in labels:
        predictor = _taught(of, begun, asked[:count], train, seed, penalty)
        if train == "head":
            features = predictor.features(of.rows(test))
        else:
            features = predictor.embed(load_pixels(of.data, test, predictor.preprocessing))
        probs = predictor.deterministic(features).numpy()
        parts = [c.part_key for c in test]
        yield evaluate(probs, truth, predictor.classes, predictor.operating, parts)


def _taught(
    of: Subject,
    begun: Predictor,
    labelled: Sequence[Casting],
    train: str,
    seed: int,
    penalty: float,
) -> Predictor:
    """What is learnt from labelled castings; by `auto`, what their held-out half is better for."""
    targets = torch.tensor([begun.classes.index(str(c.label)) for c in labelled])
    look, rows = begun.preprocessing, of.rows(labelled)
    features = begun.features(rows)
    weight, bias = fit_head(features, targets, len(begun.classes), begun.good, penalty=penalty)
    network = begun.network.with_head(weight, bias)
    if train == "auto":
        parts = [c.part_key for c in labelled]
        lesson = Lesson(begun, rows, lambda: load_pixels(of.data, labelled, look), targets, parts)
        losses = held_out_losses(lesson, Recipe(), (seed, seed + 1))
        train = min(losses, key=lambda way: losses[way]) if losses else "head"
    if train == "all":
        pixels = load_pixels(of.data, labelled, look)
        network, _ = fit(pixels, targets, network, look, recipe=Recipe(), seed=seed)
    return replace(begun, network=network)


def _sample(pool: Sequence[Casting]) -> list[Casting]:
    parts: dict[str, list[Casting]] = {}
    for casting in pool:
        parts.setdefault(casting.part_key, []).append(casting)
    sample: list[Casting] = []
    for part in parts.values():
        sample += part[:_PER_PART]
        if len(sample) >= _SAMPLE:
            break
    return sample


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", help="NAME=PATH of folders or manifests")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--weights", default="surface")
    parser.add_argument("--train", default="head")
    parser.add_argument("--penalty", default=str(PENALTY))
    parser.add_argument("--labels", default="20,50,100,200,350")
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--embeddings", type=Path, default=Path("embeddings"))
    given = parser.parse_args()
    labels = [int(count) for count in given.labels.split(",")]
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    learner = f"{given.backbone} from {Path(given.weights).name}, {given.size} px"
    print(f"\n{machine()}; {learner}, {len(seeds)} seeds\n")
    print("| set | trained | constant | " + " | ".join(f"{n} labels" for n in labels) + " |")
    print("|---" * (len(labels) + 3) + "|", flush=True)
    kept = EmbeddingStore(given.embeddings)
    for name, _, source in (one.partition("=") for one in given.sets):
        of = subject(name, Path(source), given, kept)
        ways = product(given.train.split(","), map(float, given.penalty.split(",")))
        for train, penalty in ways:
            way = train if penalty == PENALTY else f"{train}, penalty {penalty}"
            curves = []
            for seed in tqdm(seeds, f"{name}, {way}", file=sys.stderr):
                curves.append(list(curve(of, seed, labels, train, penalty)))
                print(json.dumps([name, way, seed, curves[-1]]), file=sys.stderr)
            _show(name, way, curves)


def _show(name: str, train: str, curves: Sequence[Sequence[dict[str, float]]]) -> None:
    constant = 100 * np.mean([points[0]["constant_accuracy"] for points in curves])
    cells = [
        " / ".join(f"{100 * np.mean([m[measure] for m in at]):.1f}" for measure in MEASURES)
        for at in zip(*curves, strict=True)
    ]
    print(f"| {name} | {train} | {constant:.1f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
