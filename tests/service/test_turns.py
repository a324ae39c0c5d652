import asyncio
import threading
from dataclasses import dataclass, field

import pytest
import torch

from service.turns import Turns


@dataclass(eq=False)
class FakePredictor:
    """Its features are the castings' own first pixel, times a factor."""

    factor: float = 1.0
    minibatches: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    fails: bool = False

    def embed(self, pixels_N):
        assert self.go.wait(10)
        self.minibatches.append(len(pixels_N))
        self.threads.append(torch.get_num_threads())
        if self.fails:
            raise RuntimeError("no")
        return pixels_N.flatten(1)[:, :1].float() * self.factor


@pytest.fixture
def turns(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    turns = Turns()
    monkeypatch.undo()
    yield turns
    turns.close()


def castings(*values):
    return torch.tensor(values, dtype=torch.uint8).reshape(-1, 1, 1, 1)


async def waiting_behind(turns, predictor, *asks):
    """Ask while a first turn is held up, so that all of it waits for the next."""
    predictor.go.clear()
    first = asyncio.ensure_future(turns.embed(predictor, castings(0)))
    await asyncio.sleep(0)
    futures = [asyncio.ensure_future(turns.embed(model, pixels)) for model, pixels in asks]
    await asyncio.sleep(0)
    predictor.go.set()
    await first
    predictor.minibatches.clear()
    return futures


def test_requests_that_wait_share_the_next_turn_and_each_gets_its_own(turns):
    predictor = FakePredictor()

    async def story():
        asks = [(predictor, castings(i, i + 1)) for i in range(20)]
        futures = await waiting_behind(turns, predictor, *asks)
        return await asyncio.gather(*futures)

    found = asyncio.run(story())
    assert [f.flatten().tolist() for f in found] == [[i, i + 1] for i in range(20)]
    assert sorted(predictor.minibatches) == [20, 20]  # a half for each of two cores


def test_versions_share_a_turn_but_no_minibatch(turns):
    one, two = FakePredictor(), FakePredictor(factor=2)
    two.go.set()

    async def story():
        asks = [(one, castings(1)), (two, castings(1)), (one, castings(3))]
        return await asyncio.gather(*await waiting_behind(turns, one, *asks))

    assert [f.item() for f in asyncio.run(story())] == [1, 2, 3]
    assert (one.minibatches, two.minibatches) == ([2], [1])


def test_a_lone_casting_has_all_cores_and_shared_minibatches_one_thread_each(turns):
    predictor = FakePredictor()

    async def story():
        predictor.go.set()
        await turns.embed(predictor, castings(1))
        alone = predictor.threads[-1]
        futures = await waiting_behind(turns, predictor, *[(predictor, castings(1))] * 16)
        await asyncio.gather(*futures)
        return alone, predictor.threads[-2:]

    assert asyncio.run(story()) == (2, [1, 1])


def test_no_minibatch_is_larger_than_it_should_be(turns):
    predictor = FakePredictor()
    predictor.go.set()
    many = torch.arange(200, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    found = asyncio.run(turns.embed(predictor, many))
    assert found.flatten().tolist() == list(range(200))
    assert max(predictor.minibatches) <= 64


def test_who_has_gone_away_is_not_computed(turns):
    predictor = FakePredictor()

    async def story():
        predictor.go.clear()
        first = asyncio.ensure_future(turns.embed(predictor, castings(0)))
        await asyncio.sleep(0)
        gone = asyncio.ensure_future(turns.embed(predictor, castings(1, 2, 3)))
        stays = asyncio.ensure_future(turns.embed(predictor, castings(4)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        predictor.go.set()
        await first
        return await stays

    assert asyncio.run(story()).item() == 4
    assert predictor.minibatches == [1, 1]


def test_an_error_reaches_those_who_shared_it_and_the_next_turn_is_run(turns):
    bad, good = FakePredictor(fails=True), FakePredictor()
    bad.go.set()
    good.go.set()

    async def story():
        results = await asyncio.gather(
            *(turns.embed(bad, castings(1)) for _ in range(3)), return_exceptions=True
        )
        return results, await turns.embed(good, castings(7))

    results, found = asyncio.run(story())
    assert [str(result) for result in results] == ["no"] * 3
    assert found.item() == 7
