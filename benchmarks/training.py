"""All weights trained on the published split of the castings: seconds and test accuracy.

    python -m benchmarks --only training CASTING              # 250 and 350 labels, seeds 0 to 2
    python -m benchmarks.training CASTING --labels 250 --seeds 0

Labels are drawn at random from the train side of the public data set; test castings with the bytes
of a train casting do not count. This split shows how well copies are recognised (see
docs/strategies.md); it is measured because every published figure is on it.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.castings import at_the_start, with_head
from benchmarks.table import Bound, Row, show
from models.images import Preprocessing, decode
from models.training.fit import fit
from models.training.recipe import Recipe

CLASSES = {"def_front": 0, "ok_front": 1}
LEAST = {250: Bound(least=97.5, unit=" %"), 350: Bound(least=98.5, unit=" %")}  # mean accuracy
MOST = {250: Bound(most=45, unit=" s")}


def side(folder: Path, name: str) -> tuple[list[bytes], list[int]]:
    """Bytes and classes of a side, equal bytes once."""
    class_of = {
        file.read_bytes(): number
        for kind, number in CLASSES.items()
        for file in sorted((folder / name / kind).iterdir())
    }
    return list(class_of), list(class_of.values())


def pixels(images: Sequence[bytes], look: Preprocessing) -> Tensor:
    """All images, decoded by as many threads as there are cores."""
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        return torch.stack(list(threads.map(lambda data: decode(data, look), images)))


def trainings(
    folder: Path, labels: int, seeds: Sequence[int], size: int
) -> Iterator[tuple[float, float]]:
    """Accuracy in percent and seconds of each training, decoding included."""
    begun = at_the_start(tuple(CLASSES), "ok_front", size)
    look = begun.preprocessing
    train, train_classes = side(folder, "train")
    known = set(train)
    test = [pair for pair in zip(*side(folder, "test"), strict=True) if pair[0] not in known]
    truth_N = torch.tensor([number for _, number in test])
    test_pixels = pixels([data for data, _ in test], look)
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randperm(len(train), generator=generator)[:labels].tolist()
        started = time.monotonic()
        known_pixels = pixels([train[i] for i in drawn], look)
        targets = torch.tensor([train_classes[i] for i in drawn])
        predictor = with_head(begun, known_pixels, targets, [str(i) for i in drawn])
        network, _ = fit(
            known_pixels, targets, predictor.network, look, recipe=Recipe(), seed=seed
        )
        seconds = time.monotonic() - started
        predictor = replace(predictor, network=network)
        class_N = predictor.deterministic(predictor.embed(test_pixels)).argmax(dim=1)
        yield 100 * float((class_N == truth_N).float().mean()), seconds


def rows(folder: Path, labels: int, seeds: Sequence[int], size: int) -> Iterator[Row]:
    """Accuracy and seconds of so many labels."""
    accuracies, seconds = zip(*trainings(folder, labels, seeds, size), strict=True)
    mean = statistics.mean(accuracies)
    each = " ".join(f"{accuracy:.2f}" for accuracy in accuracies)
    took = " ".join(f"{one:.0f}" for one in seconds)
    work, accuracy = f"training, {labels} labels, {size} px", f"{mean:.2f} % ({each})"
    yield Row(work, "accuracy as published", accuracy, "", mean, LEAST.get(labels))
    yield Row(work, "time", f"{took} s", "", max(seconds), MOST.get(labels))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("casting", type=Path)
    parser.add_argument("--labels", default="250,350")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--size", type=int, default=128)
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    for labels in map(int, given.labels.split(",")):
        show(rows(given.casting, labels, seeds, given.size))


if __name__ == "__main__":
    main()
