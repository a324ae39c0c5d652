"""What several benchmarks measure on: drawn castings as JPEG, and a network that has seen none."""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from jobs.datasets.synthetic.castings import draw_castings
from jobs.datasets.synthetic.spec import SyntheticSpec
from models.evaluation.operating_point import OperatingPoint
from models.images import Preprocessing, normalise
from models.network.device import use_threads
from models.network.spec import NetworkSpec
from models.network.weights import build
from models.prediction.predictor import Predictor
from service.scoring.batch_scheduler import MAX_MINIBATCH

T = TypeVar("T")
R = TypeVar("R")


def jpegs(count: int, width: int = 300, height: int = 300) -> list[bytes]:
    """Synthetic castings as JPEG; larger ones are drawn at 300 x 300 and enlarged."""
    drawn = draw_castings(SyntheticSpec(parts=count, shots=1, defect_share=0.5, size=300, seed=0))
    return [_jpeg(casting.image, width, height) for casting in drawn]


def _jpeg(pixels: NDArray[np.uint8], width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(file, "JPEG", quality=90)
    return file.getvalue()


def untrained(seed: int, size: int = 128) -> Predictor:
    """A network of the default kind; what it answers does not matter."""
    spec = NetworkSpec("resnet18", channels=1, classes=2)
    generator = torch.Generator().manual_seed(seed)
    network, look = build(spec, "scratch", generator).eval(), Preprocessing(size)
    seen = torch.randint(256, (8, 1, size, size), generator=generator, dtype=torch.uint8)
    network.observe_activations(normalise(seen, look))
    return Predictor(network, look, ("def", "ok"), OperatingPoint("ok"))


def side_by_side(work: Callable[[Sequence[T]], R], items: Sequence[T]) -> list[R]:
    """Do the work on `MAX_MINIBATCH` items at a time, in a thread of one torch thread per core."""
    size = MAX_MINIBATCH
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    with ThreadPoolExecutor(torch.get_num_threads(), "", use_threads, (1,)) as threads:
        return list(threads.map(work, chunks))
