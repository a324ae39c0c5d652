"""Bytes in flight: a bound for all clients together."""

import asyncio

import pytest

from service.http import schemas
from service.http.admission import Intake
from service.refusals import NotNow
from tests.service.fakes import multipart, named


async def pieces(*sizes):
    for size in sizes:
        yield bytes(size)


async def read(body):
    return sum([len(chunk) async for chunk in body])


def test_bodies_count_together_until_each_is_done_with():
    async def story():
        intake = Intake(10)
        with intake.counting(pieces(4, 4)) as first:
            assert await read(first) == 8
            with intake.counting(pieces(2)) as second:
                assert await read(second) == 2
            with intake.counting(pieces(1, 1, 1)) as third:
                with pytest.raises(NotNow, match="10 bytes") as refusal:
                    await read(third)
                assert refusal.value.retry_after == 1
        with intake.counting(pieces(10)) as alone:
            assert await read(alone) == 10

    asyncio.run(story())


def test_what_a_client_that_broke_off_has_sent_is_given_back():
    async def breaks_off():
        yield bytes(9)
        raise ConnectionError

    async def story():
        intake = Intake(10)
        for _ in range(3):
            with pytest.raises(ConnectionError), intake.counting(breaks_off()) as body:
                await read(body)
        with intake.counting(pieces(10)) as alone:
            assert await read(alone) == 10

    asyncio.run(story())


def test_more_bytes_than_a_worker_holds_are_a_503_and_all_is_well_afterwards(serve, photos):
    size = len(multipart((named("images"), photos[0])))
    client = serve(max_in_flight=3 * size, max_body=3 * size)

    async def crowd():
        return await asyncio.gather(*(client.scoring(photos[:1]) for _ in range(8)))

    responses = asyncio.run(crowd())
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 503}
    refused = next(response for response in responses if response.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    schemas.ErrorBody.model_validate_json(refused.content)
    assert client.score(photos[:1]).status_code == 200


def test_a_body_too_large_by_itself_is_not_told_to_come_back(serve):
    async def endless():
        yield multipart((named("images"), b""), end=False)[:-2]
        while True:
            yield bytes(1000)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = serve(max_body=5000, max_in_flight=5000).post(
        "/score", content=endless(), headers=headers
    )
    assert response.status_code == 413
