"""What a lane computes: castings of several requests, from their bytes to the rows of answers.

The backbone is run once for all of them, the rest once for those of the same passes and seed: in a
load of one-image requests the many small steps behind the backbone would cost as much as it does.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.errors import UnreadableImage
from models.images import Preprocessing, decode
from models.prediction.predictor import Answer, Predictor
from service.refusals import BadImage
from service.scoring.request import ScoreRequest, Upload

Timed = Callable[[str], AbstractContextManager[None]]  # measures a stage of a minibatch


@dataclass(frozen=True)
class Question:
    """Castings of one request, all or some, and what it wants to know.

    Attributes:
        request: whose they are.
        images: at least one.
        first: the position of the first of them in the request.
    """

    request: ScoreRequest
    images: Sequence[Upload]
    first: int

    @property
    def draws(self) -> tuple[int, int]:
        """Passes and seed: whatever has both in common has one posterior."""
        return self.request.passes, self.request.seed


@dataclass(frozen=True)
class Part:
    """What became of a question: rows and the tensors asked for, or the images that are none."""

    rows: Sequence[Answer] = ()
    included: dict[str, Tensor] = field(default_factory=dict)
    bad: Sequence[BadImage] = ()


def questions(request: ScoreRequest, shares: int, most: int) -> list[Question]:
    """The castings of a request in `shares` questions, in more where one would exceed `most`."""
    images = request.images
    size = min(most, -(-len(images) // shares))
    return [
        Question(request, images[first : first + size], first)
        for first in range(0, len(images), size)
    ]


def answer_together(
    predictor: Predictor, asked: Sequence[Question], max_pixels: int, timed: Timed
) -> list[Part]:
    """Decode, run the backbone, and write the rows of every question, in their order."""
    with timed("decode"):
        decoded = [_decode(question, predictor.preprocessing, max_pixels) for question in asked]
    parts: dict[int, Part] = {}
    pixels: dict[int, Tensor] = {}
    for index, (readable, bad) in enumerate(decoded):
        if bad:
            parts[index] = Part(bad=bad)
        else:
            pixels[index] = torch.stack(readable)
    if pixels:
        with timed("backbone"):
            features_N_F = predictor.embed(torch.cat(list(pixels.values())))
        features = features_N_F.split([len(some) for some in pixels.values()])
        with timed("answer"):
            by_draws = defaultdict(list)
            for index, own in zip(pixels, features, strict=True):
                by_draws[asked[index].draws].append((index, own))
            for alike in by_draws.values():
                indices, owns = zip(*alike, strict=True)
                found = _answer(predictor, [asked[index] for index in indices], owns)
                parts.update(zip(indices, found, strict=True))
    return [parts[index] for index in range(len(asked))]


def _decode(
    question: Question, preprocessing: Preprocessing, max_pixels: int
) -> tuple[list[Tensor], list[BadImage]]:
    readable: list[Tensor] = []
    bad: list[BadImage] = []
    for index, image in enumerate(question.images, question.first):
        try:
            readable.append(decode(image.data, preprocessing, max_pixels))
        except UnreadableImage as error:
            bad.append(BadImage(index, image.name, str(error)))
    return readable, bad


def _answer(
    predictor: Predictor, alike: Sequence[Question], features: Sequence[Tensor]
) -> list[Part]:
    """Parts of questions that have passes and seed in common."""
    scores = predictor.score_embeddings(torch.cat(list(features)), *alike[0].draws)
    contents = [image.data for question in alike for image in question.images]
    rows = predictor.answers(contents, scores)
    parts, start = [], 0
    for question, own in zip(alike, features, strict=True):
        stop, wanted = start + len(own), question.request.include
        included = {}
        if "posterior" in wanted:
            included["posterior"] = scores.probs_N_K_C[start:stop].float()
        if "embedding" in wanted:
            included["embedding"] = own
        parts.append(Part(rows[start:stop], included))
        start = stop
    return parts
