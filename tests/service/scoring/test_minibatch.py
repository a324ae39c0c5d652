from contextlib import contextmanager

import pytest

from models.prediction import predictor as predictor_module
from service.scoring.minibatch import Part, answer_together, questions
from service.scoring.request import ScoreRequest, Upload
from service.settings import MAX_PIXELS


@pytest.fixture
def stages():
    return []


@pytest.fixture
def answered(predictors, stages):
    @contextmanager
    def timed(stage):
        stages.append(stage)
        yield

    return lambda asked: answer_together(predictors["1"], asked, MAX_PIXELS, timed)


def request(*images, **fields):
    return ScoreRequest(
        tuple(Upload(f"{i}.png", image) for i, image in enumerate(images)), **fields
    )


def whole(asked):
    (question,) = questions(asked, shares=1, most=64)
    return question


def test_castings_are_shared_out_evenly_and_in_order():
    asked = request(*(b"" for _ in range(70)))
    found = questions(asked, shares=2, most=32)
    assert [len(question.images) for question in found] == [32, 32, 6]
    assert [question.first for question in found] == [0, 32, 64]
    assert [q.first for q in questions(request(b"", b"", b""), shares=2, most=32)] == [0, 2]


def test_each_question_is_answered_as_if_it_were_alone(answered, photos):
    asked = [
        whole(request(*photos[:2], include=frozenset({"posterior"}))),
        whole(request(photos[2], passes=3)),
        whole(request(photos[3], seed=7, include=frozenset({"embedding"}))),
        whole(request(*photos)),
    ]
    together = answered(asked)
    for question, part in zip(asked, together, strict=True):
        (alone,) = answered([question])
        assert part.rows == alone.rows
        assert {n: t.tolist() for n, t in part.included.items()} == {
            n: t.tolist() for n, t in alone.included.items()
        }
    assert together[0].included["posterior"].shape[:2] == (2, 50)


def test_the_trunk_is_run_once_and_each_posterior_once(answered, stages, monkeypatch, photos):
    draws = []
    score = predictor_module.Predictor.score_embeddings
    monkeypatch.setattr(
        predictor_module.Predictor,
        "score_embeddings",
        lambda self, found, *draw: draws.append((len(found), *draw)) or score(self, found, *draw),
    )
    answered([whole(request(photo, passes=passes)) for photo in photos for passes in (2, 3)])
    assert sorted(draws) == [(5, 2, 0), (5, 3, 0)]
    assert stages == ["decode", "backbone", "answer"]


def test_images_that_are_none_are_named_by_their_place_and_hurt_nobody_else(answered, photos):
    many = request(*photos[:3], b"no image", b"")
    asked = [*questions(many, shares=2, most=32), whole(request(photos[0]))]
    fine, bad, other = answered(asked)
    assert (len(fine.rows), len(other.rows)) == (3, 1)
    assert [(image.index, image.name) for image in bad.bad] == [(3, "3.png"), (4, "4.png")]


def test_nothing_is_computed_where_nothing_can_be_read(answered, stages):
    (part,) = answered([whole(request(b"no image"))])
    assert part == Part(bad=part.bad)
    assert stages == ["decode"]
