import asyncio
import json
import logging

import pytest

from service.middleware.request_log import JsonLines, RequestLog, note


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
    assert line["request_id"] == response.headers["x-request-id"]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/score", 200)
    assert (line["version"], line["castings"]) == ("1", len(photos))
    assert line["seconds"] > 0


def test_a_refusal_says_why(logged):
    client, lines = logged
    client.score([b"no image"])
    assert lines[0]["status"] == 400
    assert lines[0]["refusal"] == "1 of 1 images cannot be read"


@pytest.mark.parametrize(
    ("sent", "kept"), [("line-7.3", True), ("a\tb", False), ("x" * 65, False), ("", False)]
)
def test_a_plain_id_of_the_client_is_kept(logged, sent, kept):
    client, lines = logged
    response = asyncio.run(client.send("GET", "/model", headers={"X-Request-Id": sent}))
    assert (response.headers["x-request-id"] == sent) is kept
    assert lines[0]["request_id"] == response.headers["x-request-id"]


def test_a_long_path_is_cut(logged):
    client, lines = logged
    client.get("/" + "a" * 5000)
    assert len(lines[0]["path"]) == 500


def test_an_error_is_logged_with_its_traceback():
    record = logging.LogRecord("casting.host", logging.WARNING, "", 0, "%s broke", ("it",), None)
    error = ValueError("because")
    record.exc_info = (ValueError, error, None)
    line = json.loads(JsonLines().format(record))
    assert (line["level"], line["message"]) == ("warning", "it broke")
    assert "because" in line["traceback"]


def test_a_note_outside_a_request_goes_nowhere():
    note(version="1")
