"""Requests and bytes in flight: a bound for all clients together."""

import asyncio

import pytest

from service.http import schemas
from service.http.admission import Admission
from service.refusals import NotNow
from tests.service.fakes import multipart, named


async def pieces(*sizes):
    for size in sizes:
        yield bytes(size)


async def read(body):
    return sum([len(chunk) async for chunk in body])


def test_bodies_count_together_until_each_is_done_with():
    async def story():
        admission = Admission(max_waiting=9, max_bytes=10)
        with admission.admit(pieces(4, 4)) as first:
            assert await read(first) == 8
            with admission.admit(pieces(2)) as second:
                assert await read(second) == 2
            with admission.admit(pieces(1, 1, 1)) as third:
                with pytest.raises(NotNow, match="10 bytes") as refusal:
                    await read(third)
                assert refusal.value.retry_after == 1
        with admission.admit(pieces(10)) as alone:
            assert await read(alone) == 10

    asyncio.run(story())


def test_what_a_client_that_broke_off_has_sent_is_given_back():
    async def breaks_off():
        yield bytes(9)
        raise ConnectionError

    async def story():
        admission = Admission(max_waiting=9, max_bytes=10)
        for _ in range(3):
            with pytest.raises(ConnectionError), admission.admit(breaks_off()) as body:
                await read(body)
        with admission.admit(pieces(10)) as alone:
            assert await read(alone) == 10

    asyncio.run(story())


def test_who_waits_is_counted_and_who_would_wait_in_vain_is_not_let_in():
    admission = Admission(max_waiting=1, max_bytes=10)
    assert admission.waiting == 0
    with admission.admit(pieces()):
        assert admission.waiting == 0
        with admission.admit(pieces()):
            assert admission.waiting == 1
            with pytest.raises(NotNow, match="1 requests are waiting"), admission.admit(pieces()):
                pass
            assert admission.waiting == 1
        with admission.admit(pieces()):
            assert admission.waiting == 1
    assert admission.waiting == 0


def test_a_full_service_is_a_503_that_says_when_to_come_back(serve, photos):
    client = serve(max_waiting=2)
    responses = asyncio.run(client.crowd(8, photos[:1]))
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [200] * 3 + [503] * 5
    refused = next(r for r in responses if r.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    schemas.ErrorBody.model_validate_json(refused.content)
    assert client.score(photos[:1]).status_code == 200


def test_more_bytes_than_a_worker_holds_are_a_503_and_all_is_well_afterwards(serve, photos):
    size = len(multipart((named("images"), photos[0])))
    client = serve(max_in_flight_bytes=3 * size, max_body_bytes=3 * size)
    responses = asyncio.run(client.crowd(8, photos[:1]))
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
    response = serve(max_body_bytes=5000, max_in_flight_bytes=5000).post(
        "/score", content=endless(), headers=headers
    )
    assert response.status_code == 413
