"""A round's training on the published split of the castings: seconds and test accuracy.

    python -m benchmarks.training CASTING                     # 250 and 350 labels, seeds 0 to 2
    python -m benchmarks.training CASTING --labels 250 --seeds 0

CASTING is the folder of the public data set. Labels are drawn at random from its train side, test
castings with the bytes of a train casting do not count. This split shows how well copies are
recognised (see the README); it is measured because every published figure is on it.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.machine import machine
from models.images import Preprocessing, decode
from models.network import NetworkSpec
from models.predictor import Operating, Predictor
from models.training import Recipe, fit

CLASSES = {"def_front": 0, "ok_front": 1}
BOUNDS = {250: (97.5, 45), 350: (98.5, None)}  # mean accuracy in percent, seconds


def side(folder: Path, name: str) -> tuple[list[bytes], list[int]]:
    """Bytes and classes of a side, equal bytes once."""
    found = {
        file.read_bytes(): number
        for kind, number in CLASSES.items()
        for file in sorted((folder / name / kind).iterdir())
    }
    return list(found), list(found.values())


def pixels(images: Sequence[bytes], look: Preprocessing) -> Tensor:
    """All images, decoded by as many threads as there are cores."""
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        return torch.stack(list(threads.map(lambda data: decode(data, look), images)))


def trainings(
    folder: Path, labels: int, seeds: Sequence[int], size: int
) -> Iterator[tuple[float, float]]:
    """Accuracy in percent and seconds of each training, decoding included."""
    look = Preprocessing(size)
    train, train_classes = side(folder, "train")
    known = set(train)
    test = [pair for pair in zip(*side(folder, "test"), strict=True) if pair[0] not in known]
    truth_N = torch.tensor([number for _, number in test])
    test_pixels = pixels([data for data, _ in test], look)
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randperm(len(train), generator=generator)[:labels].tolist()
        started = time.monotonic()
        network, _ = fit(
            pixels([train[i] for i in drawn], look),
            torch.tensor([train_classes[i] for i in drawn]),
            NetworkSpec("resnet18", channels=1, classes=2),
            look,
            recipe=Recipe(),
            weights="scratch",
            seed=seed,
        )
        seconds = time.monotonic() - started
        predictor = Predictor(network, look, tuple(CLASSES), Operating("ok_front"))
        verdict_N = predictor.deterministic(predictor.embed(test_pixels)).argmax(dim=1)
        yield 100 * float((verdict_N == truth_N).float().mean()), seconds


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("casting", type=Path)
    parser.add_argument("--labels", default="250,350")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--size", type=int, default=128)
    given = parser.parse_args()
    print(f"{machine()}; published split, {given.size} px\n")
    print("| labels | accuracy % | mean | bound | seconds | bound |\n|---|---|---|---|---|---|")
    for labels in map(int, given.labels.split(",")):
        seeds = [int(seed) for seed in given.seeds.split(",")]
        found = list(trainings(given.casting, labels, seeds, given.size))
        accuracies, seconds = zip(*found, strict=True)
        least, most = BOUNDS.get(labels, (None, None))
        mean = statistics.mean(accuracies)
        print(
            f"| {labels} | {' '.join(f'{a:.2f}' for a in accuracies)} | {mean:.2f} | "
            f"{bound(least, held=least is None or mean >= least, word='at least')} | "
            f"{' '.join(f'{s:.0f}' for s in seconds)} | "
            f"{bound(most, held=most is None or max(seconds) <= most, word='at most')} |",
            flush=True,
        )


def bound(value: float | None, *, held: bool, word: str) -> str:
    """A bound as the table shows it."""
    return "" if value is None else f"{word} {value:g}{'' if held else ' **missed**'}"


if __name__ == "__main__":
    main()
