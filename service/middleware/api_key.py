"""The API key: asked for in front of everything that BentoML and the app serve."""

import hmac
from collections.abc import Callable, Container

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class ApiKey:
    """Answers 401 unless `Authorization: Bearer` has the key.

    Args:
        app: what is behind it.
        key: gives the key, None where none is asked for; a function, since middleware is set up
            before the environment is read.
        open_paths: those that need no key.
    """

    def __init__(
        self, app: ASGIApp, key: Callable[[], str | None], open_paths: Container[str] = ()
    ) -> None:
        self._app = app
        self._key = key
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it pass, or not."""
        is_open = scope["type"] != "http" or scope["path"] in self._open_paths
        if is_open or self._admits(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        refusal = JSONResponse(
            {"error": "send the API key as Authorization: Bearer KEY", "images": []},
            status_code=401,
            headers={"WWW-Authenticate": "Bearer"},
        )
        await refusal(scope, receive, send)

    def _admits(self, headers: Headers) -> bool:
        key = self._key()
        if key is None:
            return True
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        # The header was decoded as latin-1. compare_digest takes the same time for any wrong key.
        same = hmac.compare_digest(sent.strip(" \t").encode("latin-1"), key.encode())
        return same and scheme.lower() == "bearer"
