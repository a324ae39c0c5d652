"""One line of JSON per request on stderr, and the id by which a client and the log speak of it.

The id is the client's own `X-Request-Id` where that is a plain word, else a new one; it comes back
in the response. Neither bodies nor headers are logged, so that no key and no image is.
"""

import logging
import re
import time
from contextvars import ContextVar
from datetime import UTC, datetime

from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from pythonjsonlogger.core import LogData
from pythonjsonlogger.json import JsonFormatter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PLAIN_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST = 500  # characters of a value that a client had a hand in

log = logging.getLogger("casting.request")
_notes: ContextVar[dict[str, object] | None] = ContextVar("notes", default=None)


def note(**values: object) -> None:
    """Add to the line of the request that is being answered."""
    notes = _notes.get()
    if notes is not None:
        notes.update({name: _short(value) for name, value in values.items()})


class RequestLog:
    """Logs every request when its response is complete."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._with_id = CorrelationIdMiddleware(
            self._logged,
            update_request_header=False,
            validator=lambda sent: _PLAIN_WORD.fullmatch(sent) is not None,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, with an id."""
        await self._with_id(scope, receive, send)

    async def _logged(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = _notes.set({"request_id": correlation_id.get()})
        note(method=scope["method"], path=scope["path"])
        started = time.monotonic()

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                note(status=message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            note(seconds=round(time.monotonic() - started, 6))
            log.info("request")
            _notes.reset(token)


class JsonLines(JsonFormatter):
    """A record as one line of JSON, with what was noted of the request that it is about."""

    def __init__(self) -> None:
        names = {"asctime": "time", "levelname": "level", "name": "logger", "process": "pid"}
        super().__init__(
            [*names, "message"], rename_fields=names | {"exc_info": "traceback"}, json_default=str
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 -- logging's
        """In UTC, to the millisecond."""
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")

    def process_log_record(self, log_data: LogData) -> LogData:
        """Add what was noted."""
        return log_data | {"level": log_data["level"].lower()} | (_notes.get() or {})


def _short(value: object) -> object:
    return value[:_LONGEST] if isinstance(value, str) else value
