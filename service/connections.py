"""Connections on which no request comes are closed, before they are too many for anybody else."""

import asyncio
from typing import Any

from uvicorn.protocols.http import auto
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0  # for the head of a request, since it began or since the client connected


class ImpatientProtocol(H11Protocol):
    """Uvicorn's protocol; that waits for a first request, and for the rest of a head, for ever."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- as uvicorn has them
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, for a while."""
        super().connection_made(transport)
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        """Take some bytes of a request."""
        if self._awaits_head() and self._deadline is None:
            self._set_deadline()
        super().data_received(data)
        if not self._awaits_head():
            self._unset_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._unset_deadline()
        super().connection_lost(exc)

    def _awaits_head(self) -> bool:
        return bool(getattr(self.cycle, "response_complete", True))  # None before the first

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _unset_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self._awaits_head() and not self.transport.is_closing():
            self.transport.close()


def use_impatient_connections() -> None:
    """Have uvicorn, which BentoML starts, speak to clients so."""
    auto.AutoHTTPProtocol = ImpatientProtocol
