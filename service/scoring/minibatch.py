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
from service.scoring.request import Chunk, Unknown

_UNKNOWN = "not embedded here yet; send its image"


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk: rows and the tensors asked for, or why castings are none."""

    rows: Sequence[Answer | Unknown] = ()
    included: dict[str, Tensor] = field(default_factory=dict)
    bad: Mapping[str, str] = field(default_factory=dict)


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
    counters.embedded.inc(len(kept))
    with counters.stage.labels("decode").time():
        readable, unreadable = _decode(chunks, predictor.preprocessing, max_pixels, kept)
    results, by_draws = dict[int, ChunkResult](), defaultdict[tuple[int, int], list[int]](list)
    pixels: dict[str, Tensor] = {}
    for index, chunk in enumerate(chunks):
        sent = [image.casting for image in chunk.images if not image.known]
        if bad := {casting: unreadable[casting] for casting in sent if casting in unreadable}:
            results[index] = ChunkResult(bad=bad)
        else:
            pixels |= {casting: readable[casting] for casting in sent if casting in readable}
            by_draws[chunk.draws].append(index)
    if pixels:
        with counters.stage.labels("backbone").time():
            pooled_N_P = predictor.pool(torch.stack(list(pixels.values())))
        embeddings.put(predictor.space, list(pixels), pooled_N_P)
        kept |= dict(zip(pixels, pooled_N_P, strict=True))
    if by_draws:
        with counters.stage.labels("answer").time():
            for indices in by_draws.values():
                answered = _answer(predictor, [chunks[index] for index in indices], kept)
                results.update(zip(indices, answered, strict=True))
    return [results[index] for index in range(len(chunks))]


def _decode(
    chunks: Sequence[Chunk],
    preprocessing: Preprocessing,
    max_pixels: int,
    kept: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Of castings that are not kept the pixels, or why there are none."""
    readable: dict[str, Tensor] = {}
    unreadable: dict[str, str] = {}
    for image in (image for chunk in chunks for image in chunk.images):
        if image.known or any(image.casting in known for known in (kept, readable, unreadable)):
            continue
        try:
            readable[image.casting] = decode(image.data, preprocessing, max_pixels)
        except UnreadableImage as error:
            unreadable[image.casting] = str(error)
    return readable, unreadable


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
