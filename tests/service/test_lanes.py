import asyncio
import threading
from dataclasses import dataclass, field

import pytest
import torch

from service.lanes import SHARED, Lanes


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
def lanes(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    lanes = Lanes()
    monkeypatch.undo()
    yield lanes
    lanes.close()


def castings(*values):
    return torch.tensor(values, dtype=torch.uint8).reshape(-1, 1, 1, 1)


async def waiting_behind(lanes, predictor, *asks):
    """Ask while both lanes are held up, so that all of it waits."""
    predictor.go.clear()
    holding = [asyncio.ensure_future(lanes.embed(predictor, castings(0))) for _ in range(2)]
    await asyncio.sleep(0.01)
    futures = [asyncio.ensure_future(lanes.embed(model, pixels)) for model, pixels in asks]
    await asyncio.sleep(0.01)
    predictor.minibatches.clear()
    predictor.go.set()
    await asyncio.gather(*holding)
    return futures


def test_requests_that_wait_share_minibatches_and_each_gets_its_own(lanes):
    predictor = FakePredictor()

    async def story():
        asks = [(predictor, castings(i, i + 1)) for i in range(20)]
        futures = await waiting_behind(lanes, predictor, *asks)
        return await asyncio.gather(*futures)

    found = asyncio.run(story())
    assert [f.flatten().tolist() for f in found] == [[i, i + 1] for i in range(20)]
    assert sum(predictor.minibatches) == 2 + 40  # two held the lanes
    assert len(predictor.minibatches) <= 2 + 3


def test_versions_share_no_minibatch(lanes):
    one, two = FakePredictor(), FakePredictor(factor=2)
    two.go.set()

    async def story():
        asks = [(one, castings(1)), (two, castings(1)), (one, castings(3))]
        return await asyncio.gather(*await waiting_behind(lanes, one, *asks))

    assert [f.item() for f in asyncio.run(story())] == [1, 2, 3]
    assert two.minibatches == [1]
    assert sum(one.minibatches) == 2 + 2


def test_a_lone_casting_has_all_cores_and_those_that_share_one_each(lanes):
    predictor = FakePredictor()

    async def story():
        predictor.go.set()
        await lanes.embed(predictor, castings(1))
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
    many = torch.arange(200, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    found = asyncio.run(lanes.embed(predictor, many))
    assert found.flatten().tolist() == list(range(200))
    assert max(predictor.minibatches) <= SHARED


def test_who_has_gone_away_is_not_computed(lanes):
    predictor = FakePredictor()

    async def story():
        predictor.go.clear()
        holding = [asyncio.ensure_future(lanes.embed(predictor, castings(0))) for _ in range(2)]
        await asyncio.sleep(0.01)
        gone = asyncio.ensure_future(lanes.embed(predictor, castings(1, 2, 3)))
        stays = asyncio.ensure_future(lanes.embed(predictor, castings(4)))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0.01)
        predictor.go.set()
        await asyncio.gather(*holding)
        return await stays

    assert asyncio.run(story()).item() == 4
    assert predictor.minibatches == [1, 1, 1]


def test_an_error_reaches_those_who_shared_it_and_lanes_go_on(lanes):
    bad, good = FakePredictor(fails=True), FakePredictor()
    bad.go.set()
    good.go.set()

    async def story():
        results = await asyncio.gather(
            *(lanes.embed(bad, castings(1)) for _ in range(3)), return_exceptions=True
        )
        return results, await lanes.embed(good, castings(7))

    results, found = asyncio.run(story())
    assert [str(result) for result in results] == ["no"] * 3
    assert found.item() == 7
