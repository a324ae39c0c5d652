import asyncio
import threading
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest
import torch

from models.images import normalise
from service.scoring.batch_scheduler import SHARED, BatchScheduler
from service.scoring.minibatch import Part, Question, answer_together
from service.scoring.request import ScoreRequest, Upload
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


def work(predictor, asked):
    assert predictor.go.wait(10)
    names = [[float(image.name) for image in question.images] for question in asked]
    predictor.minibatches.append(sum(map(len, names)))
    predictor.threads.append(torch.get_num_threads())
    if predictor.fails:
        raise RuntimeError("no")
    return [Part([name * predictor.factor for name in own]) for own in names]


@pytest.fixture
def lanes(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    lanes = BatchScheduler(work)
    monkeypatch.undo()
    yield lanes
    lanes.close()


def castings(*values):
    request = ScoreRequest(tuple(Upload(str(value), b"") for value in values))
    return Question(request, request.images, 0)


async def found(lanes, predictor, *questions):
    return [row for part in await lanes.ask(predictor, questions) for row in part.rows]


async def waiting_behind(lanes, predictor, *asks):
    """Ask while both lanes are held up, so that all of it waits."""
    predictor.go.clear()
    holding = [asyncio.ensure_future(found(lanes, predictor, castings(0))) for _ in range(2)]
    await asyncio.sleep(0.01)
    futures = [asyncio.ensure_future(found(lanes, model, asked)) for model, asked in asks]
    await asyncio.sleep(0.01)
    predictor.minibatches.clear()
    predictor.go.set()
    await asyncio.gather(*holding)
    return futures


def test_requests_that_wait_share_minibatches_and_each_gets_its_own(lanes):
    predictor = FakePredictor()

    async def story():
        asks = [(predictor, castings(i, i + 1)) for i in range(20)]
        return await asyncio.gather(*await waiting_behind(lanes, predictor, *asks))

    assert asyncio.run(story()) == [[i, i + 1] for i in range(20)]
    assert sum(predictor.minibatches) == 2 + 40  # two held the lanes
    assert len(predictor.minibatches) <= 2 + 3


def test_versions_share_no_minibatch(lanes):
    one, two = FakePredictor(), FakePredictor(factor=2)
    two.go.set()

    async def story():
        asks = [(one, castings(1)), (two, castings(1)), (one, castings(3))]
        return await asyncio.gather(*await waiting_behind(lanes, one, *asks))

    assert asyncio.run(story()) == [[1], [2], [3]]
    assert two.minibatches == [1]
    assert sum(one.minibatches) == 2 + 2


def test_a_lone_casting_has_all_cores_and_those_that_share_one_each(lanes):
    predictor = FakePredictor()

    async def story():
        predictor.go.set()
        await found(lanes, predictor, castings(1))
        alone = predictor.threads[-1]
        futures = await waiting_behind(lanes, predictor, *[(predictor, castings(1))] * 16)
        await asyncio.gather(*futures)
        return alone, predictor.threads[1:]

    alone, others = asyncio.run(story())
    assert alone == 2
    assert others.count(2) == 1  # the first of the two that held the lanes
    assert set(others) == {1, 2}


def test_no_minibatch_is_larger_than_it_should_be(lanes):
    predictor = FakePredictor()
    predictor.go.set()
    many = [castings(*range(first, first + 20)) for first in range(0, 200, 20)]
    assert asyncio.run(found(lanes, predictor, *many)) == list(range(200))
    assert max(predictor.minibatches) <= SHARED


def test_who_has_gone_away_is_not_computed(lanes):
    predictor = FakePredictor()

    async def story():
        predictor.go.clear()
        holding = [asyncio.ensure_future(found(lanes, predictor, castings(0))) for _ in range(2)]
        await asyncio.sleep(0.01)
        gone = asyncio.ensure_future(found(lanes, predictor, castings(1, 2, 3)))
        stays = asyncio.ensure_future(found(lanes, predictor, castings(4)))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0.01)
        assert len(lanes._waiting) == 1  # noqa: SLF001 -- what it sent is let go of at once
        predictor.go.set()
        await asyncio.gather(*holding)
        return await stays

    assert asyncio.run(story()) == [4]
    assert predictor.minibatches == [1, 1, 1]


def test_an_error_reaches_those_who_shared_it_and_lanes_go_on(lanes):
    bad, good = FakePredictor(fails=True), FakePredictor()
    bad.go.set()
    good.go.set()

    async def story():
        results = await asyncio.gather(
            *(found(lanes, bad, castings(1)) for _ in range(3)), return_exceptions=True
        )
        return results, await found(lanes, good, castings(7))

    results, after = asyncio.run(story())
    assert [str(result) for result in results] == ["no"] * 3
    assert after == [7]


def test_lanes_that_share_one_backbone_answer_each_casting_as_if_it_were_alone(monkeypatch):
    predictor = tiny_predictor()
    look = predictor.preprocessing
    generator = torch.Generator().manual_seed(0)
    shown = torch.randint(256, (8, 1, look.size, look.size), generator=generator)
    predictor.network.observe_activations(
        normalise(shown, look)
    )  # for bytes to be multiplied, if they can

    def compute(model, asked):
        return answer_together(model, asked, MAX_PIXELS, lambda _: nullcontext())

    requests = [ScoreRequest((Upload("a.png", photo(seed)),), passes=5) for seed in range(30)]
    asked = [Question(request, request.images, 0) for request in requests]
    alone = [compute(predictor, [question])[0].rows for question in asked]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    lanes = BatchScheduler(compute)
    monkeypatch.undo()

    async def at_once():
        return await asyncio.gather(*(lanes.ask(predictor, [question]) for question in asked))

    try:
        for _ in range(5):
            assert [part.rows for (part,) in asyncio.run(at_once())] == alone
    finally:
        lanes.close()
