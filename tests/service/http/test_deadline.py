import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request

from service.http.deadline import while_there


def request(*messages):
    """A request whose body has been read; then come these messages, and nothing more."""
    waiting = list(messages)

    async def receive():
        if waiting:
            return {"type": waiting.pop(0)}
        return await asyncio.Event().wait()

    return Request({"type": "http"}, receive)


def endless():
    """Work that never ends, and a list that is no longer empty once it has been dropped."""
    dropped = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            dropped.append(True)

    return dropped, work


def test_work_is_done_while_the_client_is_there():
    async def work():
        await asyncio.sleep(0)
        return 7

    assert asyncio.run(while_there(request(), work())) == 7


def test_an_error_of_the_work_is_the_error_of_the_request():
    async def work():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(while_there(request(), work()))


def test_work_is_dropped_when_the_client_has_gone():
    dropped, work = endless()

    async def story():
        with pytest.raises(ClientDisconnect):
            await while_there(request("http.request", "http.disconnect"), work())
        await asyncio.sleep(0)

    asyncio.run(story())
    assert dropped == [True]


def test_work_is_dropped_with_the_request_itself():
    dropped, work = endless()

    async def story():
        asking = asyncio.ensure_future(while_there(request(), work()))
        await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(0)

    asyncio.run(story())
    assert dropped == [True]
