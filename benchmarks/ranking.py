"""Ranking a pool by BALD: ours, its peers and its limits, in the same run.

    python -m benchmarks --only ranking                       # some twenty minutes
    python -m benchmarks.ranking --rounds 1 --sizes 128 --photographs 300x300

Everything is measured in turn, `--rounds` times; a ratio is that of two measurements of one round,
and what is printed is the median with the least and the largest. The toolkit's algorithm is a loop
of K full passes, decoding included, in fp32; baal's is its cached MC dropout, on the fly in an
environment of its own (`build/peer`, made once). Over HTTP: as a job asks its service, beside ours
in one process.
"""

import argparse
import io
import statistics
import subprocess
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torchvision import models, transforms

from benchmarks.castings import jpegs, side_by_side, untrained
from benchmarks.load import serving
from benchmarks.serving import MODEL, SERVICE, store
from benchmarks.table import Bound, Row, show
from jobs.adapters.scoring_client import ScoringClient
from jobs.campaign.ports import Request
from jobs.campaign.rank import CHUNK, CONCURRENCY
from models import uncertainty
from models.images import Preprocessing, at_model_size, decode
from models.prediction.predictor import Predictor

PEER = Path("build/peer")
PEER_NEEDS = ("baal==2.1.0", "structlog<23", "torchmetrics<2", "lightning-utilities", "tqdm")
PASSES = (1, 25, 100)
PHOTOGRAPHS = {"300x300": (300, 300), "12MP": (4000, 3000)}
POOL = 512
SLOW = {"300x300": 16, "12MP": 2}  # castings for who takes seconds per casting
LIMITS = ("decode alone", "backbone alone")
BOTH = "both limits, the same processors"  # while they do one they do not do the other
HTTP = "over HTTP"
BOUNDS = {("ours", 100): Bound(most=1.1), (HTTP, 25): Bound(most=1.25)}
BOUNDS_OF_PEERS = {
    ("baal", 25): Bound(least=17),
    ("baal", 100): Bound(least=65),
    ("toolkit", 100): Bound(least=200),
}  # with 300x300; larger photographs cost everyone their decoding
OF_THE_LIMIT = Bound(least=0.85)


def ours(predictor: Predictor, passes: int, images: Sequence[bytes]) -> None:
    """Rank the images in this process."""

    def rank(chunk: Sequence[bytes]) -> torch.Tensor:
        pixels_N = torch.stack([decode(data, predictor.preprocessing) for data in chunk])
        return uncertainty.bald(predictor.score(pixels_N, passes, 0).probs_N_K_C)

    torch.cat(side_by_side(rank, images)).argsort(descending=True)


def decode_alone(predictor: Predictor, images: Sequence[bytes]) -> None:
    """The one limit."""
    side_by_side(lambda chunk: [decode(d, predictor.preprocessing) for d in chunk], images)


def backbone_alone(predictor: Predictor, images: Sequence[bytes]) -> None:
    """The other limit: features of pixels that are ready."""
    size = predictor.preprocessing.size
    pixels = torch.randint(0, 256, (1, 1, size, size), dtype=torch.uint8)
    side_by_side(lambda chunk: predictor.embed(pixels.expand(len(chunk), -1, -1, -1)), images)


def toolkit(predictor: Predictor, passes: int, images: Sequence[bytes]) -> None:
    """K full passes, each over the whole pool and from its files; 1 is a plain forward pass."""
    size = predictor.preprocessing.size
    look = transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])
    network = models.resnet18()
    network.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    network.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 2))
    network.eval()
    network.fc.train()
    with torch.no_grad():
        for _ in range(passes):
            for start in range(0, len(images), 64):
                opened = [Image.open(io.BytesIO(d)).convert("L") for d in images[start:][:64]]
                network(torch.stack([look(image) for image in opened])).softmax(dim=1)


def peer_python() -> Path:
    """The peer's interpreter: baal from PyPI, torch and the rest from our environment."""
    python = PEER / "bin" / "python"
    if not python.exists():
        venv.create(PEER, with_pip=True)
        subprocess.run(  # noqa: S603 -- our own command
            [python, "-m", "pip", "install", "--quiet", "--no-deps", *PEER_NEEDS], check=True
        )
        site = next((PEER / "lib").glob("python*/site-packages"))
        (site / "ours.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


def baal_rate(images: Sequence[bytes], size: int, passes: int) -> float:
    """Images per second of the peer."""
    with tempfile.TemporaryDirectory() as folder:
        for index, data in enumerate(images):
            (Path(folder) / f"{index:04}.jpg").write_bytes(data)
        peer = subprocess.run(  # noqa: S603 -- our own command
            [peer_python(), "-m", "benchmarks.peer", folder, str(size), str(passes)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    return float(peer.stdout.splitlines()[-1])


def rate(work: Callable[[Sequence[bytes]], None], images: Sequence[bytes]) -> float:
    """Images per second, the first few apart."""
    work(images[:2])
    start = time.perf_counter()
    work(images)
    return len(images) / (time.perf_counter() - start)


@contextmanager
def asking(size: int) -> Iterator[Callable[[Sequence[bytes]], None]]:
    """What ranks images over HTTP, while a service runs."""
    look = Preprocessing(size)
    with store(size) as (uri, mlflow), serving(SERVICE, MLFLOW_TRACKING_URI=uri) as (url, _):
        run_id = mlflow.get_model_version(MODEL, "1").run_id
        request = Request("1", run_id, passes=25, seed=0, include=("posterior",))
        scorer = ScoringClient(url)

        def rank(images: Sequence[bytes]) -> None:
            def score(start: int) -> torch.Tensor:
                chunk = images[start : start + CHUNK]
                named = [(str(i), at_model_size(data, look)) for i, data in enumerate(chunk)]
                return scorer.score(named, request).tensors["posterior"]

            with ThreadPoolExecutor(CONCURRENCY) as threads:
                chunks = list(threads.map(score, range(0, len(images), CHUNK)))
            uncertainty.bald(torch.cat(chunks)).argsort(descending=True)

        try:
            yield rank
        finally:
            scorer.close()


def one_round(images: Sequence[bytes], size: int, few: int) -> dict[tuple[str, int], float]:
    """Images per second of everyone, by name and passes; the slow ones have `few` castings."""
    predictor = untrained(0, size)
    rates = {
        ("decode alone", 0): rate(partial(decode_alone, predictor), images),
        ("backbone alone", 0): rate(partial(backbone_alone, predictor), images),
    }
    rates[BOTH, 0] = 1 / sum(1 / rates[limit, 0] for limit in LIMITS)
    for passes in PASSES:
        rates["ours", passes] = rate(partial(ours, predictor, passes), images)
        few_images = images[: few if passes > 1 else 4 * few]
        rates["toolkit", passes] = rate(partial(toolkit, predictor, passes), few_images)
        rates["baal", passes] = baal_rate(images[: 4 * few], size, passes)
    with asking(size) as rank:
        rank(images)  # the first requests warm it
        rates[HTTP, 25] = rate(rank, images)
    return rates


def rows(
    rounds: Sequence[Mapping[tuple[str, int], float]], photographs: str, size: int
) -> Iterator[Row]:
    """The medians, and what ours is beside each."""
    slower = min(LIMITS, key=lambda name: rounds[0][name, 0])
    bounds = BOUNDS | {(slower, 0): OF_THE_LIMIT}
    if photographs == "300x300":
        bounds |= BOUNDS_OF_PEERS
    for name, passes in rounds[0]:
        median = statistics.median(rates[name, passes] for rates in rounds)
        ratios = [ratio(rates, name, passes) for rates in rounds]
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        yield Row(
            f"ranking, {photographs} at {size} px",
            f"{name}, K = {passes}" if passes else name,
            f"{median:.4g} images/s",
            f"{middle:.3g} ({low:.3g} to {high:.3g})",
            middle,
            bounds.get((name, passes)),
        )


def ratio(rates: Mapping[tuple[str, int], float], name: str, passes: int) -> float:
    """Ours of as many passes, K = 1 beside limits and itself, over the rate of another."""
    return rates["ours", 1 if name == "ours" or not passes else passes] / rates[name, passes]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", default="128,224")
    parser.add_argument("--photographs", default=",".join(PHOTOGRAPHS))
    given = parser.parse_args()
    for photographs in given.photographs.split(","):
        images = jpegs(32, *PHOTOGRAPHS[photographs]) * (POOL // 32)
        for size in map(int, given.sizes.split(",")):
            rounds = [one_round(images, size, SLOW[photographs]) for _ in range(given.rounds)]
            show(rows(rounds, photographs, size))


if __name__ == "__main__":
    main()
