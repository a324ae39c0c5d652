"""Time and memory of every strategy on a large pool, each in a process of its own.

    python -m benchmarks.scale                    # the table of the docs, about ten minutes
    python -m benchmarks.scale --only coreset,epig --castings 25000

Memory is the peak of the process beside what it held when the strategy was asked. Castings are
drawn: features of 50 kinds of castings in 16 directions and some noise, after a ReLU; passes of MC
dropout over a head trained on 1,000 labelled castings. VAAL's time is that of its training.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.machine import machine
from models.acquisition.candidates import Candidates
from models.acquisition.strategies.table import STRATEGIES, find_strategy
from models.network.mc_dropout import pass_masks, posterior

FEATURES, PASSES, LABELLED, BATCH = 512, 50, 1000, 1000
SIZES, CLASSES = (25_000, 100_000), (2, 10)
BOUNDS = {
    "coreset": 60,
    "badge": 60,
    "typiclust": 60,
    "epig": 60,
    "batchbald": 60,
    "novelty": 60,
    "dropquery": 60,
    "clue": 60,
    "probcover": 120,
    "maxherding": 120,
    "uherding": 120,
}
NO_BOUND = {"vaal": None, "diverse-bald": None}
BATCHES = {"batchbald": 50}
GIGABYTE = 2**30


def made_up(castings: int, classes: int) -> Candidates:
    """A pool that looks like what a service would send."""
    generator = torch.Generator().manual_seed(0)
    count = castings + LABELLED
    kinds = 2 * torch.randn(50, 16, generator=generator)
    kind = torch.randint(50, (count,), generator=generator)
    latent = kinds[kind] + torch.randn(count, 16, generator=generator)
    features = latent @ torch.randn(16, FEATURES, generator=generator) / 4
    features += 0.3 * torch.randn(count, FEATURES, generator=generator)
    features = features.relu_()
    head, bias = _trained(features[castings:], kind[castings:] % classes, classes)
    passes = head * pass_masks(PASSES, FEATURES, 0.5, 0).unsqueeze(1), bias.expand(PASSES, -1)
    plain = head.unsqueeze(0), bias.unsqueeze(0)
    chunks = features[:castings].split(2000)
    images = torch.randint(256, (count, 1, 32, 32), generator=generator, dtype=torch.uint8)
    return Candidates(
        count=castings,
        probs_N_K_C=torch.cat([posterior(chunk, *passes).float() for chunk in chunks]),
        deterministic_N_C=posterior(features[:castings], *plain)[:, 0],
        embeddings_N_F=features[:castings].clone(),
        labelled_embeddings_M_F=features[castings:].clone(),
        labelled_classes_M=torch.arange(LABELLED) % classes,
        images=images[:castings],
        labelled_images=images[castings:],
    )


def _trained(
    features_M_F: torch.Tensor, classes_M: torch.Tensor, classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a softmax regression on the labelled castings, under dropout."""
    generator = torch.Generator().manual_seed(1)
    head = torch.zeros(classes, FEATURES, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    adam = torch.optim.Adam([head, bias], 1e-2)
    for _ in range(100):
        kept = 2 * (torch.rand(features_M_F.shape, generator=generator) < 1 / 2)
        logits = (features_M_F * kept) @ head.T + bias
        adam.zero_grad()
        torch.nn.functional.cross_entropy(logits, classes_M).backward()
        adam.step()
    return head.detach(), bias.detach()


def measure(name: str, castings: int, classes: int) -> dict[str, float]:
    """Seconds, seconds of all processors, and gigabytes beside the candidates, of one batch.

    Raises:
        SystemExit: it is no batch.
    """
    candidates, strategy = made_up(castings, classes), find_strategy(name)
    size = BATCHES.get(name, BATCH)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    started, worked = time.perf_counter(), time.process_time()
    chosen = strategy(candidates, size, torch.Generator().manual_seed(0))
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    if len({int(i) for i in chosen}) != size:
        raise SystemExit(f"{name} returned {len(chosen)} of {size}")
    return {"seconds": seconds, "work": work, "gigabytes": (_status("VmHWM") - before) / GIGABYTE}


def _status(field: str) -> int:
    """A figure of this process in bytes, as Linux tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _in_a_process(name: str, castings: int, classes: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.scale", "--measure", name]
    command += ["--castings", str(castings), "--classes", str(classes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def table(names: list[str], sizes: list[int], classes: list[int]) -> None:
    """Print a row per strategy and number of classes; the last size is held to the bounds.

    Time is that of the clock, in brackets that of all processors, of which growth is taken: others
    may be at work on the machine.
    """
    print(
        f"{machine()}; {FEATURES} features, {PASSES} passes, {LABELLED:,} labelled, "
        f"batch {BATCH:,} (batchbald {BATCHES['batchbald']})\n"
    )
    print("| strategy | C | " + " | ".join(f"{n:,}" for n in sizes) + " | growth | bound |")
    print("|---|---|" + "---|" * (len(sizes) + 2))
    for name in names:
        for c in classes:
            batches = [_in_a_process(name, castings, c) for castings in sizes]
            cells = [
                f"{f['seconds']:.1f} s ({f['work']:.1f}), {f['gigabytes']:.2f} GB" for f in batches
            ]
            growth = batches[-1]["work"] / max(batches[0]["work"], 0.01)
            bound = {**BOUNDS, **NO_BOUND}.get(name, 2)
            late = "" if bound is None or batches[-1]["seconds"] <= bound else " **missed**"
            row = [name, str(c), *cells, f"{growth:.1f}x", f"{bound or '-'} s{late}"]
            print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="strategies, separated by commas")
    parser.add_argument("--castings", type=int, help="one pool size instead of two")
    parser.add_argument("--classes", type=int, help="one number of classes instead of two")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.castings, given.classes)))
        return
    names = given.only.split(",") if given.only else [*STRATEGIES, "diverse-bald"]
    sizes = [given.castings] if given.castings else list(SIZES)
    table(names, sizes, [given.classes] if given.classes else list(CLASSES))


if __name__ == "__main__":
    main()
