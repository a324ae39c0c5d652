import pytest

from models.prediction import predictor as predictor_module
from service.metrics.counters import Counters
from service.scoring.minibatch import ChunkResult, score_minibatch
from service.scoring.request import ScoreRequest, Upload
from service.settings import MAX_PIXELS


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def scored(predictors, counters):
    return lambda chunks: score_minibatch(
        predictors["1"], chunks, max_pixels=MAX_PIXELS, counters=counters
    )


def stages(counters):
    """How often each stage has been timed."""
    name = "casting_stage_seconds_count"
    samples = (sample for metric in counters.registry.collect() for sample in metric.samples)
    return {sample.labels["stage"]: sample.value for sample in samples if sample.name == name}


def request(*images, **fields):
    return ScoreRequest(
        tuple(Upload(f"{i}.png", image) for i, image in enumerate(images)), **fields
    )


def whole(request):
    (chunk,) = request.chunks(shares=1, most=64)
    return chunk


def test_each_chunk_is_answered_as_if_it_were_alone(scored, photos):
    chunks = [
        whole(request(*photos[:2], include=frozenset({"posterior"}))),
        whole(request(photos[2], passes=3)),
        whole(request(photos[3], seed=7, include=frozenset({"embedding"}))),
        whole(request(*photos)),
    ]
    together = scored(chunks)
    for chunk, result in zip(chunks, together, strict=True):
        (alone,) = scored([chunk])
        assert result.rows == alone.rows
        assert {n: t.tolist() for n, t in result.included.items()} == {
            n: t.tolist() for n, t in alone.included.items()
        }
    assert together[0].included["posterior"].shape[:2] == (2, 50)


def test_the_backbone_is_run_once_and_each_posterior_once(scored, counters, monkeypatch, photos):
    draws = []
    score = predictor_module.Predictor.score_embeddings
    monkeypatch.setattr(
        predictor_module.Predictor,
        "score_embeddings",
        lambda self, rows, *draw: draws.append((len(rows), *draw)) or score(self, rows, *draw),
    )
    scored([whole(request(photo, passes=passes)) for photo in photos for passes in (2, 3)])
    assert sorted(draws) == [(5, 2, 0), (5, 3, 0)]
    assert stages(counters) == {"decode": 1, "backbone": 1, "answer": 1}
    assert counters.registry.get_sample_value("casting_minibatch_castings_sum") == 10


def test_images_that_are_none_are_named_by_their_place_and_hurt_nobody_else(scored, photos):
    many = request(*photos[:3], b"no image", b"")
    fine, bad, other = scored([*many.chunks(shares=2, most=32), whole(request(photos[0]))])
    assert (len(fine.rows), len(other.rows)) == (3, 1)
    assert [(image.index, image.name) for image in bad.bad] == [(3, "3.png"), (4, "4.png")]


def test_nothing_is_computed_where_nothing_can_be_read(scored, counters):
    (result,) = scored([whole(request(b"no image"))])
    assert result == ChunkResult(bad=result.bad)
    assert stages(counters) == {"decode": 1}
