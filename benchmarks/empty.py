"""What `POST /score` would be if nothing had to be computed: the other half of serving.py's ratio.

The same framework, middlewares, form parser and limits, and an answer of the same size.
"""

import os

import bentoml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.http.form import read_form
from service.middleware.api_key import ApiKey
from service.middleware.request_log import RequestLog
from service.middleware.request_metrics import PATHS, PROBES, RequestMetrics
from service.settings import Settings

SIZE = "EMPTY_ANSWER_BYTES"


async def score(request: Request) -> Response:
    """Read the form, and answer so many bytes."""
    await read_form(request.headers, request.stream(), Settings())
    answer = b" " * int(os.environ[SIZE])
    return Response(answer, media_type="application/json", headers={"Vary": "Accept"})


app = Starlette(routes=[Route("/score", score, methods=["POST"])])


@bentoml.service(
    name="empty",
    workers=1,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(app, path="/")
class Empty:
    """Computes nothing."""


Empty.add_asgi_middleware(RequestMetrics, namespace="empty", paths=(*PATHS, *PROBES))
Empty.add_asgi_middleware(RequestLog)
Empty.add_asgi_middleware(ApiKey, key=lambda: None)
