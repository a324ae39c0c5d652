"""A minibatch: castings of several requests, from their bytes to the rows of answers.

The backbone is run once for all of them, the rest once for those of the same passes and seed: in a
load of one-image requests the many small steps behind the backbone would cost as much as it does.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.errors import UnreadableImage
from models.images import Preprocessing, decode
from models.prediction.predictor import Answer, Predictor
from service.metrics.counters import Counters
from service.refusals import BadImage
from service.scoring.request import Chunk


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk: rows and the tensors asked for, or the images that are none."""

    rows: Sequence[Answer] = ()
    included: dict[str, Tensor] = field(default_factory=dict)
    bad: Sequence[BadImage] = ()


def score_minibatch(
    predictor: Predictor, chunks: Sequence[Chunk], *, max_pixels: int, counters: Counters
) -> list[ChunkResult]:
    """Decode, run the backbone, and write the rows of every chunk, in their order.

    An image of more than `max_pixels`, judged by its header, is bad.
    """
    counters.minibatch.observe(sum(len(chunk.images) for chunk in chunks))
    with counters.stage.labels("decode").time():
        decoded = [_decode(chunk, predictor.preprocessing, max_pixels) for chunk in chunks]
    results = {index: ChunkResult(bad=bad) for index, (_, bad) in enumerate(decoded) if bad}
    pixels = {
        index: torch.stack(readable) for index, (readable, bad) in enumerate(decoded) if not bad
    }
    if pixels:
        with counters.stage.labels("backbone").time():
            features_N_F = predictor.embed(torch.cat(list(pixels.values())))
        features = features_N_F.split([len(pixels_N) for pixels_N in pixels.values()])
        with counters.stage.labels("answer").time():
            by_draws = defaultdict(list)
            for index, chunk_features in zip(pixels, features, strict=True):
                by_draws[chunks[index].draws].append((index, chunk_features))
            for alike in by_draws.values():
                indices, alike_features = zip(*alike, strict=True)
                answered = _answer(predictor, [chunks[index] for index in indices], alike_features)
                results.update(zip(indices, answered, strict=True))
    return [results[index] for index in range(len(chunks))]


def _decode(
    chunk: Chunk, preprocessing: Preprocessing, max_pixels: int
) -> tuple[list[Tensor], list[BadImage]]:
    readable: list[Tensor] = []
    bad: list[BadImage] = []
    for index, image in enumerate(chunk.images, chunk.first):
        try:
            readable.append(decode(image.data, preprocessing, max_pixels))
        except UnreadableImage as error:
            bad.append(BadImage(index, image.name, str(error)))
    return readable, bad


def _answer(
    predictor: Predictor, alike: Sequence[Chunk], features: Sequence[Tensor]
) -> list[ChunkResult]:
    """Results of chunks that have passes and seed in common."""
    scores = predictor.score_embeddings(torch.cat(list(features)), *alike[0].draws)
    contents = [image.data for chunk in alike for image in chunk.images]
    rows = predictor.answers(contents, scores)
    results, start = [], 0
    for chunk, chunk_features in zip(alike, features, strict=True):
        stop, include = start + len(chunk_features), chunk.request.include
        included = {}
        if "posterior" in include:
            included["posterior"] = scores.probs_N_K_C[start:stop].float()
        if "embedding" in include:
            included["embedding"] = chunk_features
        results.append(ChunkResult(rows[start:stop], included))
        start = stop
    return results
