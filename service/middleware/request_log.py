"""One line of JSON a request on stderr, and the id by which a client and the log speak of it.

The id is the client's own `X-Request-Id` where that is a plain word, else a new one; it comes back
in the response. Neither bodies nor headers are logged, so that no key and no image is.
"""

import json
import logging
import re
import time
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-Id"
_PLAIN_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST = 500  # characters of a value that a client had a hand in

log = logging.getLogger("casting.request")
_notes: ContextVar[dict[str, object] | None] = ContextVar("notes", default=None)


def note(**values: object) -> None:
    """Add to the line of the request that is being answered."""
    notes = _notes.get()
    if notes is not None:
        notes.update(values)


class RequestLog:
    """Logs every request when its response is complete."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, with an id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(HEADER, "")
        request_id = sent if _PLAIN_WORD.fullmatch(sent) else uuid.uuid4().hex
        notes: dict[str, object] = {
            "request_id": request_id,
            "method": scope["method"],
            "path": scope["path"][:_LONGEST],
        }
        token = _notes.set(notes)
        started = time.monotonic()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
                notes["status"] = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            _notes.reset(token)
            notes["seconds"] = round(time.monotonic() - started, 6)
            log.info("request", extra={"notes": notes})


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, and what was noted; a traceback where there is one."""
        notes = getattr(record, "notes", None) or _notes.get() or {}
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
            **{name: _short(value) for name, value in notes.items()},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _short(value: object) -> object:
    return value[:_LONGEST] if isinstance(value, str) else value
