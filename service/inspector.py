"""The BentoML service: `bentoml serve service.inspector:CastingInspector`."""

import logging
import os
import sys
import warnings

import bentoml
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from service.connections import use_impatient_connections
from service.http import page
from service.http.deadline import ANSWER_SECONDS
from service.middleware.api_key import ApiKey
from service.middleware.request_log import JsonLines, RequestLog
from service.middleware.request_metrics import PATHS, PROBES, RequestMetrics
from service.runtime import configure_libraries, raise_open_files, workers_asked_for

# BentoML's own, after ours. It keeps something of every request for so long.
_SECONDS = round(ANSWER_SECONDS) + 5


class DeferredApp(Starlette):
    """The app that BentoML mounts when this module is imported, and a worker opens later.

    The parent of the workers imports the module too: without torch in it, it stays small.
    """

    opened: Starlette | None = None
    api_key: str | None = None

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes by which BentoML decides what is ours."""
        return super().routes if self.opened is None else self.opened.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand requests to the opened app."""
        await (self.opened or super().__call__)(scope, receive, send)


app = DeferredApp()
use_impatient_connections()  # of a worker, before its server starts


@bentoml.service(
    name="casting-inspector",
    workers=workers_asked_for(sys.argv, os.environ),
    traffic={"timeout": _SECONDS},
    metrics={"enabled": False},  # `RequestMetrics` counts instead
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},  # spans of every message otherwise, though none is exported
)
@bentoml.asgi_app(app, path="/")
class CastingInspector:
    """Scores photographs of castings with the current version of a registered model."""

    def __init__(self) -> None:
        configure_libraries(os.environ)
        _log_to_stderr()
        from models.network.device import use_threads
        from service.hosting.sources import open_source
        from service.http.app import open_app
        from service.settings import Settings

        settings = Settings.read()
        app.opened = opened = open_app(
            settings, open_source(settings.model)
        )  # it has counted the cores
        use_threads(1)  # a second team of threads anywhere, and OpenMP lets both sleep at barriers
        app.api_key = settings.api_key
        state = opened.state.inspector
        self._host, self._scorer = state.host, state.scorer
        self._host.start(settings.poll_seconds)

    def __is_ready__(self) -> bool:
        """Whether a model is served."""
        return self._host.served is not None

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def before_workers() -> None:
        """Tell the libraries of the parent process, before it reports its usage to anyone.

        Workers have its limit of open files.
        """
        configure_libraries(os.environ)
        raise_open_files()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Stop polling, loading and computing."""
        self._host.close()
        self._scorer.close()


def _log_to_stderr() -> None:
    """Our own lines as JSON, and everything on stderr, where BentoML's workers use stdout.

    Libraries warn about images, forms and ids that clients send: those are told in the answer, and
    may not fill the log.
    """
    for name in ("python_multipart", "asgi_correlation_id"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"PIL\.")
    ours, lines = logging.getLogger("casting"), logging.StreamHandler()
    lines.setFormatter(JsonLines())
    ours.handlers, ours.propagate = [lines], False
    ours.setLevel(logging.INFO)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # the host says once what is away
    for name in ("", "bentoml", "uvicorn.error"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
                handler.setStream(sys.stderr)


# mypy takes a decorated class for what it was before
CastingInspector.add_asgi_middleware(  # type: ignore[attr-defined]
    RequestMetrics, namespace="bentoml_service", paths=(*PATHS, *PROBES, *page.PATHS)
)
CastingInspector.add_asgi_middleware(RequestLog)  # type: ignore[attr-defined]
CastingInspector.add_asgi_middleware(  # type: ignore[attr-defined]
    ApiKey,
    key=lambda: app.api_key,
    # the page's files hold nothing secret, and a browser could not send a key with them
    open_paths=frozenset((*PROBES, *page.PATHS)),
)
