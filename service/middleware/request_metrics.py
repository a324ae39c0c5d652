"""BentoML's request metrics, with labels that a client cannot multiply."""

from collections.abc import Iterable

from bentoml._internal.server.http.instruments import RunnerTrafficMetricsMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

PATHS = ("/score", "/explain", "/model", "/reload", "/metrics", "/docs", "/docs.json")
PROBES = ("/livez", "/readyz", "/healthz")
_UNKNOWN = "unmatched"
_CALLED_PATH = "casting.path"


class RequestMetrics:
    """BentoML's request metrics, counting paths that no route has as one.

    BentoML's middleware labels series with whatever path a client sends, so that a scanner makes
    new series without end. It stands outermost, where a service cannot reach it; so it is switched
    off in the service's configuration, and stands here between two small apps: one hides an
    unknown path from it, the other brings the path back.
    """

    def __init__(self, app: ASGIApp, namespace: str, paths: Iterable[str]) -> None:
        self._paths = frozenset(paths)
        self._app = app
        self._counted = RunnerTrafficMetricsMiddleware(self._bring_back, namespace=namespace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        label = scope["path"] if scope["path"] in self._paths else _UNKNOWN
        hidden = {**scope, "path": label, _CALLED_PATH: scope["path"]}
        await self._counted(hidden, receive, send)

    async def _bring_back(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "path": scope[_CALLED_PATH]}, receive, send)
