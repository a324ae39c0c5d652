"""Connections on which no request comes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from uvicorn.protocols.http import auto

from service import connections
from service.connections import ImpatientProtocol, use_impatient_connections

Story = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def _slow(_: object) -> PlainTextResponse:
    await asyncio.sleep(0.6)
    return PlainTextResponse("slow but sure")


def tell(story: Story) -> None:
    """Have a client live its story at a server that does not wait for long."""

    async def main() -> None:
        app = Starlette(routes=[Route("/", _slow)])
        config = uvicorn.Config(app, http=ImpatientProtocol, log_config=None, lifespan="off")
        config.load()
        state = uvicorn.Server(config).server_state

        def protocol() -> ImpatientProtocol:
            return ImpatientProtocol(config, state, {})

        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.wait_for(story(reader, writer), 20)
        writer.close()
        server.close()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)


def test_who_says_nothing_is_let_go():
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        assert await reader.read() == b""

    tell(silent)


def test_who_sends_a_head_that_never_ends_is_let_go_after_a_whole_request_too():
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GET)
        answer = await reader.readuntil(b"slow but sure")
        assert answer.startswith(b"HTTP/1.1 200")
        for _ in range(200):
            writer.write(b"G")
            await asyncio.sleep(0.05)
            if reader.at_eof():
                return
        pytest.fail("it was let stay for ten seconds")

    tell(dribble)


def test_who_waits_for_a_slow_answer_gets_it():
    async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GET)
        assert b"slow but sure" in await reader.readuntil(b"slow but sure")

    tell(patient)


def test_uvicorn_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(auto, "AutoHTTPProtocol", object)
    use_impatient_connections()
    config = uvicorn.Config(Starlette(), log_config=None)
    config.load()
    assert config.http_protocol_class is ImpatientProtocol
