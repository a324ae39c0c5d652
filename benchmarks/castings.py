"""What several benchmarks measure on: drawn castings as JPEG, and a network that has seen none."""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from jobs.datasets.synthetic.castings import draw_castings
from jobs.datasets.synthetic.spec import SyntheticSpec
from models.evaluation.operating_point import OperatingPoint
from models.network.device import use_threads
from models.network.spec import NetworkSpec
from models.network.standardise import Standardisation
from models.network.start import read_start
from models.prediction.predictor import Predictor
from models.training.head import fit_head
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
    """A network of the default kind whose head is drawn; what it answers does not matter."""
    predictor = at_the_start(("def", "ok"), "ok", size)
    generator = torch.Generator().manual_seed(seed)
    head = torch.nn.Linear(predictor.network.pooled_count, 2)
    torch.nn.init.normal_(head.weight, std=0.01, generator=generator)
    torch.nn.init.zeros_(head.bias)
    return replace(predictor, network=predictor.network.with_heads([head]))


def at_the_start(classes: tuple[str, ...], good: str | None, size: int) -> Predictor:
    """The start that ships with the project; its head is still 0."""
    spec = NetworkSpec("resnet18", channels=1, classes=len(classes))
    start = read_start("surface", spec)
    return Predictor(start.network(spec), start.preprocessing(size), classes, OperatingPoint(good))


def with_head(
    begun: Predictor, pixels_N: torch.Tensor, targets_N: torch.Tensor, parts_N: Sequence[str]
) -> Predictor:
    """A head fitted to castings, which also say what is usual."""
    pooled_N_P = begun.pool(pixels_N)
    begun.network.standardisations[0] = Standardisation.of(pooled_N_P, parts_N)
    features_N_F = begun.features(pooled_N_P)
    weight_C_F, bias_C = fit_head(features_N_F, targets_N, len(begun.classes), begun.good)
    return replace(begun, network=begun.network.with_head(weight_C_F, bias_C))


def side_by_side(work: Callable[[Sequence[T]], R], items: Sequence[T]) -> list[R]:
    """Do the work on `MAX_MINIBATCH` items at a time, in a thread of one torch thread per core."""
    size = MAX_MINIBATCH
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    with ThreadPoolExecutor(torch.get_num_threads(), "", use_threads, (1,)) as threads:
        return list(threads.map(work, chunks))
