"""The BentoML service: `bentoml serve service.inspector:CastingInspector`."""

import logging
import os
import sys

import bentoml

from service import app as routes
from service import leash
from service.api_key import ApiKey
from service.app import Desk, create_app
from service.bench import Bench
from service.host import Host
from service.metrics import TrafficMetrics
from service.settings import Settings, quieten_libraries
from service.sources import open_source

_SECONDS = 600  # for a request that waits behind many others
_PROBES = ("/livez", "/readyz", "/healthz")

app = create_app()


@bentoml.service(
    name="casting-inspector",
    workers=1,
    traffic={"timeout": _SECONDS},
    metrics={"enabled": False},  # `TrafficMetrics` counts instead
    logging={"access": {"enabled": False}},
)
@bentoml.asgi_app(app, path="/")
class CastingInspector:
    """Scores photographs of castings with the current version of a registered model."""

    def __init__(self) -> None:
        quieten_libraries(os.environ)
        _log_to_stderr()
        settings = Settings.read(os.environ)
        if settings.owner_pid is not None:
            leash.hold(settings.owner_pid)
        self._host = Host(open_source(settings.model), settings.pinned)
        self._bench = Bench(settings.max_waiting, settings.max_pixels)
        app.state.desk = Desk(settings, self._host, self._bench)
        self._host.start(settings.poll_seconds)

    def __is_ready__(self) -> bool:
        """Whether a model is served."""
        return self._host.served is not None

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def before_workers() -> None:
        """Tell the libraries of the parent process, before it reports its usage to anyone."""
        quieten_libraries(os.environ)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Stop polling, loading and computing."""
        self._host.close()
        self._bench.close()


def _log_to_stderr() -> None:
    """Show our own progress, and everything on stderr, where BentoML's workers use stdout."""
    logging.getLogger("casting").setLevel(logging.INFO)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # the host says once what is away
    for name in ("", "bentoml", "uvicorn.error"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
                handler.setStream(sys.stderr)


# mypy takes a decorated class for what it was before
CastingInspector.add_asgi_middleware(  # type: ignore[attr-defined]
    TrafficMetrics, namespace="bentoml_service", paths=(*routes.PATHS, *_PROBES)
)
CastingInspector.add_asgi_middleware(  # type: ignore[attr-defined]
    ApiKey, key=lambda: app.state.desk.settings.api_key
)
