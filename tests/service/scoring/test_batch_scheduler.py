import asyncio
import threading
from dataclasses import dataclass, field
from functools import partial

import pytest
import torch

from service.metrics.counters import Counters
from service.scoring.batch_scheduler import MAX_MINIBATCH, BatchScheduler
from service.scoring.minibatch import ChunkResult, score_minibatch
from service.scoring.request import Chunk, ScoreRequest, Upload
from service.settings import MAX_PIXELS
from tests.service.fakes import photo, tiny_predictor


@dataclass(eq=False)
class FakePredictor:
    """What its castings come to is their names, as numbers, times a factor."""

    factor: float = 1.0
    minibatches: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    fails: bool = False


def compute(predictor, chunks):
    assert predictor.go.wait(10)
    names = [[float(image.name) for image in chunk.images] for chunk in chunks]
    predictor.minibatches.append(sum(map(len, names)))
    predictor.threads.append(torch.get_num_threads())
    if predictor.fails:
        raise RuntimeError("no")
    return [ChunkResult([name * predictor.factor for name in chunk]) for chunk in names]


@pytest.fixture
def scheduler(monkeypatch):
    """One that found two cores."""
    with monkeypatch.context() as machine:
        machine.setattr(torch, "get_num_threads", lambda: 2)
        scheduler = BatchScheduler(compute)
    yield scheduler
    scheduler.close()


def castings(*values):
    request = ScoreRequest(tuple(Upload(str(value), b"") for value in values))
    return Chunk(request, request.images)


async def rows(scheduler, predictor, *chunks):
    return [row for result in await scheduler.run(predictor, chunks) for row in result.rows]


def both_cores(scheduler, predictor):
    """Minibatches of one casting that hold both cores until the predictor may go."""
    predictor.go.clear()
    return [asyncio.ensure_future(rows(scheduler, predictor, castings(0))) for _ in range(2)]


async def waiting_behind(scheduler, predictor, *requests):
    """The rows of requests that come while both cores are held, so that all of them wait."""
    holding = both_cores(scheduler, predictor)
    await asyncio.sleep(0.01)
    futures = [asyncio.ensure_future(rows(scheduler, model, chunk)) for model, chunk in requests]
    await asyncio.sleep(0.01)
    predictor.minibatches.clear()
    predictor.go.set()
    await asyncio.gather(*holding)
    return futures


def test_requests_that_wait_share_minibatches_and_each_gets_its_own(scheduler):
    predictor = FakePredictor()

    async def story():
        requests = [(predictor, castings(i, i + 1)) for i in range(20)]
        return await asyncio.gather(*await waiting_behind(scheduler, predictor, *requests))

    assert asyncio.run(story()) == [[i, i + 1] for i in range(20)]
    assert sum(predictor.minibatches) == 2 + 40  # two held the cores
    assert len(predictor.minibatches) <= 2 + 3


def test_versions_share_no_minibatch(scheduler):
    one, two = FakePredictor(), FakePredictor(factor=2)
    two.go.set()

    async def story():
        requests = [(one, castings(1)), (two, castings(1)), (one, castings(3))]
        return await asyncio.gather(*await waiting_behind(scheduler, one, *requests))

    assert asyncio.run(story()) == [[1], [2], [3]]
    assert two.minibatches == [1]
    assert sum(one.minibatches) == 2 + 2


def test_a_lone_casting_has_all_cores_and_those_that_share_one_each(scheduler):
    predictor = FakePredictor()

    async def story():
        predictor.go.set()
        await rows(scheduler, predictor, castings(1))
        alone = predictor.threads[-1]
        futures = await waiting_behind(scheduler, predictor, *[(predictor, castings(1))] * 16)
        await asyncio.gather(*futures)
        return alone, predictor.threads[1:]

    alone, others = asyncio.run(story())
    assert alone == 2
    assert others.count(2) == 1  # the first of the two that held the cores
    assert set(others) == {1, 2}


def test_no_minibatch_is_larger_than_it_should_be(scheduler):
    predictor = FakePredictor()
    predictor.go.set()
    many = [castings(*range(first, first + 20)) for first in range(0, 200, 20)]
    assert asyncio.run(rows(scheduler, predictor, *many)) == list(range(200))
    assert max(predictor.minibatches) <= MAX_MINIBATCH


def test_who_has_gone_away_is_not_computed(scheduler):
    predictor = FakePredictor()

    async def story():
        holding = both_cores(scheduler, predictor)
        await asyncio.sleep(0.01)
        gone = asyncio.ensure_future(rows(scheduler, predictor, castings(1, 2, 3)))
        stays = asyncio.ensure_future(rows(scheduler, predictor, castings(4)))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0.01)
        assert len(scheduler._queue) == 1  # noqa: SLF001 -- what it sent is let go of at once
        predictor.go.set()
        await asyncio.gather(*holding)
        return await stays

    assert asyncio.run(story()) == [4]
    assert predictor.minibatches == [1, 1, 1]


def test_an_error_reaches_those_who_shared_it_and_others_go_on(scheduler):
    bad, good = FakePredictor(fails=True), FakePredictor()
    bad.go.set()
    good.go.set()

    async def story():
        results = await asyncio.gather(
            *(rows(scheduler, bad, castings(1)) for _ in range(3)), return_exceptions=True
        )
        return results, await rows(scheduler, good, castings(7))

    results, after = asyncio.run(story())
    assert [str(result) for result in results] == ["no"] * 3
    assert after == [7]


def test_threads_that_share_one_backbone_answer_each_casting_as_if_it_were_alone(
    monkeypatch, forgetful
):
    predictor = tiny_predictor()

    compute = partial(
        score_minibatch, embeddings=forgetful, max_pixels=MAX_PIXELS, counters=Counters()
    )
    requests = [ScoreRequest((Upload("a.png", photo(seed)),), passes=5) for seed in range(30)]
    chunks = [Chunk(request, request.images) for request in requests]
    alone = [compute(predictor, [chunk])[0].rows for chunk in chunks]
    with monkeypatch.context() as machine:
        machine.setattr(torch, "get_num_threads", lambda: 2)
        scheduler = BatchScheduler(compute)

    async def at_once():
        return await asyncio.gather(*(scheduler.run(predictor, [chunk]) for chunk in chunks))

    try:
        for _ in range(5):
            assert [result.rows for (result,) in asyncio.run(at_once())] == alone
    finally:
        scheduler.close()
