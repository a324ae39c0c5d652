import asyncio

import httpx
import pytest
from prometheus_client import REGISTRY
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from service.middleware.request_metrics import RequestMetrics

NAMESPACE = "request_metrics_test"


@pytest.fixture(scope="module")
def get():
    """Sends a request through the middleware, which labels only `/score`; gives its answer."""

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["path"])(scope, receive, send)

    counted = RequestMetrics(echo, namespace=NAMESPACE, paths=["/score"])

    async def send(path: str) -> str:
        transport = httpx.ASGITransport(counted)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get(path)).text

    return lambda path: asyncio.run(send(path))


def endpoints() -> set[str]:
    """What the middleware's series are labelled with."""
    ours = [metric for metric in REGISTRY.collect() if metric.name.startswith(NAMESPACE)]
    labels = [sample.labels for metric in ours for sample in metric.samples]
    return {label["endpoint"] for label in labels if "endpoint" in label}


def test_paths_that_no_route_has_are_one_series_and_reach_the_app_as_they_are(get):
    for path in ("/score", "/.env", "/wp-admin", "/score/"):
        assert get(path) == path
    assert endpoints() == {"/score", "unmatched"}
