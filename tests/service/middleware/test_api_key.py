import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse

from service.middleware.api_key import ApiKey


def status(path: str, key: str | None = "geheim-ä", **headers: str) -> int:
    async def ask() -> int:
        app = ApiKey(PlainTextResponse("in"), lambda: key, {"/livez", "/", "/page/main.js"})
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport) as client:
            raw = {name: value.encode() for name, value in headers.items()}
            return (await client.get(f"http://test{path}", headers=raw)).status_code

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "path", ["/score", "/model", "/metrics", "/docs.json", "//", "/page/", "//livez", "/livez/"]
)
def test_everything_wants_the_key(path):
    assert status(path) == 401
    assert status(path, authorization="Bearer geheim-ä") == 200


@pytest.mark.parametrize("path", ["/livez", "/", "/page/main.js"])
def test_but_the_open_paths(path):
    assert status(path) == 200


@pytest.mark.parametrize(
    "sent", ["", "geheim-ä", "Bearer", "Bearer ", "Bearer geheim", "Basic geheim-ä", "Bearer \xff"]
)
def test_anything_else_is_not_the_key(sent):
    assert status("/model", authorization=sent) == 401


def test_the_scheme_is_not_case_sensitive():
    assert status("/model", authorization="bearer geheim-ä") == 200


def test_without_a_key_everybody_may():
    assert status("/model", key=None) == 200


def test_a_key_may_end_in_any_letter():
    """The last byte of à is a space to who reads the header as latin-1."""
    assert status("/model", key="voilà", authorization="Bearer voilà") == 200
