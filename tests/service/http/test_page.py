import asyncio
import re
from pathlib import Path

import httpx
import pytest

from service.http import page
from service.http.app import create_app
from service.middleware.api_key import ApiKey

FOLDER = Path(page.__file__).parents[1] / "page"


def test_the_page_stands_at_the_root(client):
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Casting inspector</title>" in response.text


def test_every_file_of_the_folder_is_served_as_what_it_is(client):
    kinds = {".css": "text/css", ".js": "text/javascript"}
    for file in FOLDER.iterdir():
        if file.suffix != ".html":
            response = client.get(f"/page/{file.name}")
            assert response.content == file.read_bytes()
            assert response.headers["content-type"] == f"{kinds[file.suffix]}; charset=utf-8"


@pytest.mark.parametrize("path", page.PATHS)
def test_a_browser_is_told_to_load_nothing_from_elsewhere(client, path):
    headers = client.get(path).headers
    policy = dict(
        rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"


def test_the_page_names_only_files_that_are_served():
    for file in FOLDER.iterdir():
        links = re.findall(r'(?:href|src|from|import)[= ]"(page/|\./)([^"]+)"', file.read_text())
        assert {f"/page/{name}" for _, name in links} <= set(page.PATHS), file.name


@pytest.mark.parametrize(
    "path",
    [
        "/page",
        "/page/",
        "/page/page.py",
        "/page/..%2fhttp/app.py",
        "/page/../http/app.py",
        "/page/index.html",
        "/page/main.js%0a",
        "/%0a",
        "/page%2fmain.js%00",
        "/http/app.py",
    ],
)
def test_no_other_file_is_served(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", page.PATHS)
def test_files_can_only_be_read(client, path):
    head = asyncio.run(client.send("HEAD", path))
    assert (head.status_code, head.content) == (200, b"")
    for method in ("POST", "PUT", "DELETE"):
        refused = asyncio.run(client.send(method, path))
        assert refused.status_code == 405
        assert refused.json()["images"] == []


def test_who_has_a_file_is_told_that_it_is_the_same(client):
    tag = client.get("/page/main.js").headers["etag"]
    again = asyncio.run(client.send("GET", "/page/main.js", headers={"If-None-Match": tag}))
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


def test_its_files_need_no_key_and_what_they_call_does():
    async def statuses() -> dict[str, int]:
        transport = httpx.ASGITransport(ApiKey(create_app(), lambda: "geheim", page.PATHS))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            paths = (*page.PATHS, "/page/main.js.map", "/model", "/score")
            return {path: (await client.get(path)).status_code for path in paths}

    wanted = dict.fromkeys(page.PATHS, 200)
    assert asyncio.run(statuses()) == wanted | {
        "/page/main.js.map": 401, "/model": 401, "/score": 401,
    }  # fmt: skip


def test_it_stays_out_of_the_document_of_the_api(client):
    assert not set(page.PATHS) & set(client.get("/docs.json").json()["paths"])


def test_no_module_of_it_is_longer_than_150_lines():
    long = {
        file.name: lines
        for file in FOLDER.glob("*.js")
        if (lines := len(file.read_text().splitlines())) > 150
    }
    assert long == {}
