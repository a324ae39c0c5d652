"""Asking after every few labels: inside a batch the head is fitted anew, and the pool ranked anew.

The oracle tells at once, so each casting of the batch is chosen by what the ones before it taught.
All of it happens in memory, from embeddings that are kept; the batch is recorded as a whole, and
whoever dies on the way chooses the same again.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from jobs.campaign.embed import pooled
from jobs.campaign.learn import Lesson, headed, lesson_of
from jobs.campaign.rank import Ranked
from jobs.campaign.seeds import generator_for, seed_for
from jobs.campaign.session import Session
from jobs.datasets.castings import Casting
from models.acquisition.candidates import Candidates
from models.acquisition.selection import choose_batch
from models.acquisition.strategy import needs_of
from models.prediction.predictor import Predictor


def choose_with_refits(
    session: Session, ranked: Ranked, wanted: int, number: int
) -> list[Casting]:
    """A batch in order of choice, `--refit-every` castings between two fits of the head.

    The first are chosen by what the service said. Where a casting has no label in the data set,
    people will give one, and the head stays as it is for the rest of the batch.
    """
    campaign, options = session.campaign, session.campaign.options
    classes, good = campaign.classes(session.state.labels.values())
    lesson = lesson_of(session, classes, good)
    pooled_N_P = pooled(session.context, campaign.data, lesson.begun, ranked.castings)
    pool = _Pool(session, ranked, lesson.begun.features(pooled_N_P), pooled_N_P)
    generator = generator_for(options.seed, number, "acquire")
    batch: list[int] = []
    candidates = ranked.candidates
    while len(batch) < min(wanted, len(ranked.castings)):
        open_rows = pool.open_rows(batch)
        size = min(options.refit_every, wanted - len(batch), len(open_rows))
        parts = [ranked.castings[row].part_key for row in open_rows]
        among = candidates.rows(open_rows)
        picked = choose_batch(campaign.strategy, among, parts, size, generator)
        rows = [open_rows[i] for i in picked]
        batch += rows
        labels = [ranked.castings[row].label for row in rows]
        if len(batch) < wanted and all(label in classes for label in labels):
            targets = torch.tensor([classes.index(str(label)) for label in labels])
            lesson = pool.taught(lesson, rows, targets)
            candidates = pool.candidates(lesson)
    return [ranked.castings[row] for row in batch]


class _Pool:
    """The castings of a batch's pool, their features computed once."""

    def __init__(
        self, session: Session, ranked: Ranked, features_N_F: Tensor, pooled_N_P: Tensor
    ) -> None:
        self._session, self._ranked = session, ranked
        self._features_N_F, self._pooled_N_P = features_N_F, pooled_N_P

    def open_rows(self, batch: Sequence[int]) -> list[int]:
        """Rows that are not in the batch, of parts that are not either while there are any."""
        castings, taken = self._ranked.castings, set(batch)
        left = [row for row in range(len(castings)) if row not in taken]
        parts = {castings[row].part_key for row in batch}
        return [row for row in left if castings[row].part_key not in parts] or left

    def taught(self, lesson: Lesson, rows: Sequence[int], targets: Tensor) -> Lesson:
        """The lesson with some castings of the pool added."""
        parts = [self._ranked.castings[row].part_key for row in rows]
        return replace(
            lesson,
            pooled_M_P=torch.cat([lesson.pooled_M_P, self._pooled_N_P[list(rows)]]),
            targets_M=torch.cat([lesson.targets_M, targets]),
            parts_M=[*lesson.parts_M, *parts],
        )

    def candidates(self, lesson: Lesson) -> Candidates:
        """The pool as a head that is fitted to the lesson sees it."""
        options, needs = self._session.campaign.options, needs_of(self._session.campaign.strategy)
        network = headed(self._session, lesson)
        predictor: Predictor = replace(lesson.begun, network=network)
        seed = seed_for(options.seed, self._session.state.trained[-1].round, "passes")
        scores = predictor.score_embeddings(self._features_N_F, options.passes, seed)
        labelled = "labelled_embeddings_M_F" in needs
        return replace(
            self._ranked.candidates,
            labelled_classes_M=lesson.targets_M,
            probs_N_K_C=scores.probs_N_K_C.float() if "probs_N_K_C" in needs else None,
            deterministic_N_C=scores.deterministic_N_C if "deterministic_N_C" in needs else None,
            embeddings_N_F=self._features_N_F if "embeddings_N_F" in needs else None,
            labelled_embeddings_M_F=predictor.features(lesson.pooled_M_P) if labelled else None,
        )
