"""A minibatch: castings of several requests, from their bytes to the rows of answers.

What was embedded before, by whomever, is neither decoded nor run through the backbone again.
The backbone is run once for all of them, the rest once for those of the same passes and seed: in a
load of one-image requests the many small steps behind the backbone would cost as much as it does.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.embeddings import EmbeddingStore
from models.errors import UnreadableImage
from models.images import Preprocessing, decode
from models.prediction.predictor import Answer, Predictor
from service.metrics.counters import Counters
from service.refusals import BadImage
from service.scoring.request import Chunk, Unknown


_UNKNOWN = "not embedded here yet; send its image"


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk: rows and the tensors asked for, or the images that are none."""

    rows: Sequence[Answer | Unknown] = ()
    included: dict[str, Tensor] = field(default_factory=dict)
    bad: Sequence[BadImage] = ()


def score_minibatch(
    predictor: Predictor,
    chunks: Sequence[Chunk],
    *,
    embeddings: EmbeddingStore,
    max_pixels: int,
    counters: Counters,
) -> list[ChunkResult]:
    """Decode, run the backbone, and write the rows of every chunk, in their order.

    An image of more than `max_pixels`, judged by its header, is bad. A casting that is said to be
    known and is not gets a row that says so.
    """
    counters.minibatch.observe(sum(len(chunk.images) for chunk in chunks))
    castings = [image.casting for chunk in chunks for image in chunk.images]
    kept = embeddings.get(predictor.space, castings)
    with counters.stage.labels("decode").time():
        decoded = [_decode(chunk, predictor.preprocessing, max_pixels, kept) for chunk in chunks]
    results = {index: ChunkResult(bad=bad) for index, (_, bad) in enumerate(decoded) if bad}
    pixels: dict[str, Tensor] = {}
    for readable, bad in decoded:
        pixels |= {} if bad else readable
    if pixels:
        with counters.stage.labels("backbone").time():
            pooled_N_P = predictor.pool(torch.stack(list(pixels.values())))
        embeddings.put(predictor.space, list(pixels), pooled_N_P)
        kept |= dict(zip(pixels, pooled_N_P, strict=True))
    with counters.stage.labels("answer").time():
        by_draws = defaultdict(list)
        for index, chunk in enumerate(chunks):
            if index not in results:
                by_draws[chunk.draws].append(index)
        for indices in by_draws.values():
            answered = _answer(predictor, [chunks[index] for index in indices], kept)
            results.update(zip(indices, answered, strict=True))
    return [results[index] for index in range(len(chunks))]


def _decode(
    chunk: Chunk, preprocessing: Preprocessing, max_pixels: int, kept: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[BadImage]]:
    """Pixels by casting of what is not kept, and the images that are none."""
    readable: dict[str, Tensor] = {}
    bad: list[BadImage] = []
    for index, image in enumerate(chunk.images, chunk.first):
        if image.known or image.casting in kept or image.casting in readable:
            continue
        try:
            readable[image.casting] = decode(image.data, preprocessing, max_pixels)
        except UnreadableImage as error:
            bad.append(BadImage(index, image.name, str(error)))
    return readable, bad


def _answer(
    predictor: Predictor, alike: Sequence[Chunk], kept: Mapping[str, Tensor]
) -> list[ChunkResult]:
    """Results of chunks that have passes and seed in common."""
    castings = [i.casting for chunk in alike for i in chunk.images if i.casting in kept]
    pooled = [kept[casting] for casting in castings]
    width = predictor.network.pooled_count
    features_N_F = predictor.features(torch.stack(pooled) if pooled else torch.empty(0, width))
    scores = predictor.score_embeddings(features_N_F, *alike[0].draws)
    rows = iter(predictor.answers(castings, scores))
    results, start = [], 0
    for chunk in alike:
        stop, include = start + sum(i.casting in kept for i in chunk.images), chunk.request.include
        included = {}
        if "posterior" in include:
            included["posterior"] = scores.probs_N_K_C[start:stop].float()
        if "embedding" in include:
            included["embedding"] = features_N_F[start:stop]
        answers = [
            next(rows) if i.casting in kept else Unknown(casting=i.casting, unknown=_UNKNOWN)
            for i in chunk.images
        ]
        results.append(ChunkResult(answers, included))
        start = stop
    return results
