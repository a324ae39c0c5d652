import asyncio
import json
import logging
from datetime import datetime, timedelta

import pytest

from service.middleware.request_log import JsonLines, RequestLog, note

PRIVATE = "geheim-key"


@pytest.fixture
def logged(client):
    """The client behind the log, and the lines that come of it."""
    lines: list[dict] = []

    class Kept(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(self.format(record)))

    handler = Kept()
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("casting")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    client.app = RequestLog(client.app)
    yield client, lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_request_is_one_line_with_what_was_done(logged, photos):
    client, lines = logged
    response = client.score(photos)
    (line,) = lines
    assert list(line) == [
        "time", "level", "logger", "pid", "message",
        "request_id", "method", "path", "version", "castings", "status", "seconds",
    ]  # fmt: skip
    assert line["request_id"] == response.headers["x-request-id"]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/score", 200)
    assert (line["version"], line["castings"]) == ("1", len(photos))
    assert line["seconds"] > 0


def test_neither_body_nor_headers_nor_query_are_logged(logged):
    client, lines = logged
    headers = {"Authorization": f"Bearer {PRIVATE}", "Cookie": PRIVATE}
    asyncio.run(client.send("POST", f"/score?{PRIVATE}", headers=headers, content=PRIVATE))
    assert lines
    assert PRIVATE not in json.dumps(lines)


def test_a_refusal_says_why(logged):
    client, lines = logged
    client.score([b"no image"])
    assert lines[0]["status"] == 400
    assert lines[0]["refusal"] == "1 of 1 images cannot be read"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("line-7.3", True),
        ("x" * 64, True),
        ("a\tb", False),
        ("a b", False),
        ("ä", False),
        ("x" * 65, False),
        ("", False),
    ],
)
def test_a_plain_id_of_the_client_is_kept(logged, sent, kept):
    client, lines = logged
    headers = {"X-Request-Id": sent.encode()}
    response = asyncio.run(client.send("GET", "/model", headers=headers))
    (echoed,) = response.headers.get_list("x-request-id")
    assert (echoed == sent) is kept
    assert kept or len(echoed) == 32
    assert lines[0]["request_id"] == echoed


def test_every_request_has_an_id_of_its_own(logged):
    client, lines = logged
    for _ in range(3):
        client.get("/model")
    assert len({line["request_id"] for line in lines}) == 3


def test_a_request_that_fails_is_logged_all_the_same(logged):
    client, lines = logged

    async def broken(scope, receive, send):
        raise RuntimeError("no")

    client.app = RequestLog(broken)
    with pytest.raises(RuntimeError, match="no"):
        client.get("/model")
    assert lines[0]["path"] == "/model"
    assert "status" not in lines[0]


@pytest.mark.parametrize(("path", "kept"), [("/" + "a" * 498, 499), ("/" + "a" * 5000, 500)])
def test_a_long_path_is_cut(logged, path, kept):
    client, lines = logged
    client.get(path)
    assert len(lines[0]["path"]) == kept


def test_what_a_client_had_a_hand_in_is_cut():
    async def chatty(scope, receive, send):
        note(refusal="x" * 501, castings=7)
        logging.getLogger("casting").warning("told")

    record = {}

    class Kept(logging.Handler):
        def emit(self, one):
            record.update(json.loads(JsonLines().format(one)))

    handler, logger = Kept(), logging.getLogger("casting")
    logger.addHandler(handler)
    try:
        asyncio.run(
            RequestLog(chatty)({"type": "http", "method": "GET", "path": "/", "headers": []}, 0, 0)
        )
    finally:
        logger.removeHandler(handler)
    assert (record["refusal"], record["castings"]) == ("x" * 500, 7)


def test_an_error_is_logged_with_its_traceback_and_outside_a_request_nothing_is_noted():
    record = logging.LogRecord("casting.host", logging.WARNING, "", 0, "%s broke", ("it",), None)
    error = ValueError("because" * 200)
    record.exc_info = (ValueError, error, None)
    note(version="1")
    line = json.loads(JsonLines().format(record))
    assert list(line) == ["time", "level", "logger", "pid", "message", "traceback"]
    assert (line["level"], line["logger"]) == ("warning", "casting.host")
    assert line["message"] == "it broke"
    assert str(error) in line["traceback"]
    written = datetime.fromisoformat(line["time"])
    assert (written.utcoffset(), len(line["time"])) == (timedelta(0), 29)
    assert abs(written.timestamp() - record.created) < 0.001
