"""Work for a client is worth doing while it is there, and waits, to take the answer."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from service.refusals import Refusal

ANSWER_SECONDS = 55.0  # from a request's headers to its answer

T = TypeVar("T")


@asynccontextmanager
async def by(deadline: float, otherwise: Refusal) -> AsyncIterator[None]:
    """Raise the refusal if the block is not done when the event loop's clock shows `deadline`."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as error:
        raise otherwise from error


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do the work of a request whose body has been read, and drop it when its client has gone.

    Servers do not cancel a request when its connection closes: work for clients that gave up, and
    ask anew, would keep the places of those who wait.

    Raises:
        ClientDisconnect: the client has gone; what was to be done is cancelled.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return await working
    finally:
        working.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
