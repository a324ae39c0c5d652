import pytest
import torch

from models.images import decode
from models.prediction import predictor as predictor_module
from service.metrics.counters import Counters
from service.scoring import minibatch
from service.scoring.minibatch import ChunkResult, score_minibatch
from service.scoring.request import ScoreRequest, Upload
from service.settings import MAX_PIXELS
from tests.service.fakes import as_loaded, casting, counting_castings, with_head


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def scored_by(counters, embeddings):
    """Scores chunks with a predictor; what it embeds is kept, unless there is another store."""

    def score(predictor, chunks, store=embeddings):
        return score_minibatch(
            predictor, chunks, embeddings=store, max_pixels=MAX_PIXELS, counters=counters
        )

    return score


@pytest.fixture
def scored(predictors, scored_by, forgetful):
    """Scores chunks anew at each call."""
    return lambda chunks: scored_by(predictors["1"], chunks, forgetful)


@pytest.fixture
def decoded(monkeypatch):
    """The castings that have been decoded."""
    seen = []
    monkeypatch.setattr(
        minibatch, "decode", lambda data, *how: seen.append(casting(data)) or decode(data, *how)
    )
    return seen


def stages(counters):
    """How often each stage has been timed."""
    name = "casting_stage_seconds_count"
    samples = (sample for metric in counters.registry.collect() for sample in metric.samples)
    return {sample.labels["stage"]: sample.value for sample in samples if sample.name == name}


def request(*parts, **fields):
    """Images as bytes, and castings that are said to be known as their hashes."""
    return ScoreRequest(
        tuple(
            Upload("", b"", known=part) if isinstance(part, str) else Upload(f"{i}.png", part)
            for i, part in enumerate(parts)
        ),
        **fields,
    )


def whole(request):
    (chunk,) = request.chunks(shares=1, most=64)
    return chunk


def numbers(result):
    return result.rows, {name: tensor.tolist() for name, tensor in result.included.items()}


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
        assert numbers(result) == numbers(alone)
    assert together[0].included["posterior"].shape[:2] == (2, 50)


def test_the_backbone_is_run_once_and_each_posterior_once(scored, counters, monkeypatch, photos):
    draws = []
    score = predictor_module.Predictor.score_embeddings
    monkeypatch.setattr(
        predictor_module.Predictor,
        "score_embeddings",
        lambda self, rows, *draw: draws.append((len(rows), *draw)) or score(self, rows, *draw),
    )
    with counting_castings() as runs:
        scored([whole(request(photo, passes=passes)) for photo in photos for passes in (2, 3)])
    assert runs == [5]  # the castings of both
    assert sorted(draws) == [(5, 2, 0), (5, 3, 0)]
    assert stages(counters) == {"decode": 1, "backbone": 1, "answer": 1}
    assert counters.registry.get_sample_value("casting_minibatch_castings_sum") == 10


def test_what_two_chunks_have_in_common_is_decoded_once(scored, decoded, photos):
    scored(
        [
            whole(request(*photos[:2])),
            whole(request(*photos[1:3], b"none")),
            whole(request(b"none")),
        ]
    )
    assert sorted(decoded) == sorted(map(casting, [*photos[:3], b"none"]))


def test_an_image_that_was_embedded_is_neither_decoded_nor_run_again(
    scored_by, decoded, predictors, photos
):
    include = frozenset({"posterior", "embedding"})
    chunk = whole(request(*photos[:3], include=include))
    with counting_castings() as runs:
        (first,) = scored_by(predictors["1"], [chunk])
        assert (len(decoded), runs) == (3, [3])
        (again,) = scored_by(predictors["1"], [chunk])
        assert (len(decoded), runs) == (3, [3])
        (more,) = scored_by(predictors["1"], [whole(request(*photos, include=include))])
    assert (decoded[3:], sum(runs)) == ([casting(data) for data in photos[3:]], 5)
    assert numbers(again) == numbers(first)
    assert more.rows[:3] == first.rows


def test_versions_of_one_backbone_share_what_is_kept_and_others_do_not(
    scored_by, predictors, photos
):
    one = as_loaded(predictors["1"])
    chunk = whole(request(*photos))
    with counting_castings() as runs:
        (first,) = scored_by(one, [chunk])
        (other,) = scored_by(with_head(one, 9), [chunk])
        assert runs == [5]
        scored_by(predictors["2"], [chunk])
    assert runs == [5, 5]
    probabilities = [[row["probabilities"] for row in result.rows] for result in (first, other)]
    assert probabilities[0] != probabilities[1]


def test_what_is_known_is_answered_as_its_image_was_and_what_is_not_says_so(
    scored_by, predictors, photos
):
    include = frozenset({"posterior", "embedding"})
    ids = [casting(data) for data in photos]
    (sent,) = scored_by(predictors["1"], [whole(request(*photos[:2], include=include))])
    mixed = request(ids[4], ids[1], photos[2], ids[3], ids[0], include=include)
    (result,) = scored_by(predictors["1"], [whole(mixed)])
    assert [row["casting"] for row in result.rows] == [ids[i] for i in (4, 1, 2, 3, 0)]
    assert [set(row) == {"casting", "unknown"} for row in result.rows] == [
        True, False, False, True, False,
    ]  # fmt: skip
    assert [result.rows[i] for i in (4, 1)] == list(sent.rows)
    for name in include:
        assert len(result.included[name]) == 3  # none for what is unknown
        assert torch.equal(result.included[name][[2, 0]], sent.included[name])


def test_where_nothing_is_known_there_are_only_rows_that_say_so(scored_by, predictors, counters):
    include = frozenset({"posterior", "embedding"})
    asked = request("0" * 64, "1" * 64, passes=4, include=include)
    (result,) = scored_by(predictors["1"], [whole(asked)])
    assert [set(row) for row in result.rows] == [{"casting", "unknown"}] * 2
    width = predictors["1"].network.pooled_count
    assert {name: tuple(tensor.shape) for name, tensor in result.included.items()} == {
        "posterior": (0, 4, 2),
        "embedding": (0, width),
    }
    assert "backbone" not in stages(counters)


def test_what_another_chunk_of_the_minibatch_sends_is_known(scored, photos):
    asked, sent = scored([whole(request(casting(photos[0]))), whole(request(photos[0]))])
    assert asked.rows == sent.rows


def test_images_that_are_none_are_named_by_their_bytes_and_hurt_nobody_else(scored, photos):
    many = request(*photos[:3], b"no image", b"")
    fine, bad, other = scored([*many.chunks(shares=2, most=32), whole(request(photos[0]))])
    assert (len(fine.rows), len(other.rows)) == (3, 1)
    assert list(bad.bad) == [casting(b"no image"), casting(b"")]
    assert bad.bad[casting(b"")] == "empty file"


def test_nothing_is_computed_where_nothing_can_be_read(scored, counters):
    (result,) = scored([whole(request(b"no image"))])
    assert result == ChunkResult(bad=result.bad)
    assert stages(counters) == {"decode": 1}


def test_of_a_chunk_with_an_image_that_is_none_nothing_is_embedded(scored_by, predictors, photos):
    (refused,) = scored_by(predictors["1"], [whole(request(photos[0], b"no image"))])
    assert not refused.rows
    (asked,) = scored_by(predictors["1"], [whole(request(casting(photos[0])))])
    assert "unknown" in asked.rows[0]
