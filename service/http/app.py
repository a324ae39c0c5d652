"""The HTTP routes. A worker that starts puts what they need at `app.state.inspector`."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from models.embeddings import EmbeddingStore
from models.prediction.predictor import Answer
from service.hosting.model_host import ModelHost
from service.hosting.sources import Source
from service.hosting.version_cache import Served
from service.http import exposition, openapi, page, reference, schemas
from service.http.admission import Admission
from service.http.deadline import ANSWER_SECONDS, by, while_there
from service.http.explain import PNG, only_image, picture
from service.http.form import EXPLAIN_FIELDS, FIELDS, read_form
from service.http.negotiation import BINARY, JSON, wants_binary
from service.metrics.counters import Counters
from service.middleware.request_log import note
from service.refusals import NotNow, Refusal, TooSlow
from service.scoring.batch_scheduler import MAX_MINIBATCH
from service.scoring.request import ScoreRequest, Unknown
from service.scoring.scorer import Scorer
from service.settings import Settings

_BUSY_SECONDS = 0.5  # then a casting is computed again sooner than another process is waited for


@dataclass(frozen=True)
class AppState:
    """What the routes of one worker work with."""

    settings: Settings
    host: ModelHost
    scorer: Scorer
    counters: Counters
    admission: Admission


async def _state(request: Request) -> AppState:  # async, or it would be run in a thread
    state: AppState = request.app.state.inspector
    return state


State = Annotated[AppState, Depends(_state)]
T = TypeVar("T")


class InspectorApp(FastAPI):
    """FastAPI with an OpenAPI document that also knows BentoML's probes and the API key."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if not self.openapi_schema:
            self.openapi_schema = openapi.complete(super().openapi())
        return self.openapi_schema


def create_app() -> InspectorApp:
    """The app without its state."""
    app = InspectorApp(
        title="casting-inspector",
        version="1",
        description="Scores photographs of castings: verdict, and how unsure the model is.",
        openapi_url="/docs.json",
        docs_url=None,
        redoc_url=None,
        exception_handlers={
            Refusal: _refuse,
            HTTPException: _refuse_route,
            ClientDisconnect: _gone,
        },
        routes=page.routes(),
    )
    app.post(
        "/score",
        responses=openapi.SCORE_RESPONSE | openapi.REFUSED,
        openapi_extra=openapi.form_body(schemas.ScoreForm),
    )(score)
    app.post(
        "/explain",
        response_class=Response,
        responses=openapi.EXPLAIN_RESPONSE | openapi.REFUSED,
        openapi_extra=openapi.form_body(schemas.ExplainForm),
    )(explain)
    app.get("/model", responses=openapi.NO_MODEL)(model)
    app.post("/reload", responses=openapi.NO_MODEL)(reload)
    app.get("/docs", response_class=HTMLResponse, include_in_schema=False)(docs)
    app.get("/metrics", response_class=Response, responses=openapi.NO_KEY)(scrape)
    return app


def open_app(settings: Settings, source: Source) -> InspectorApp:
    """The app of a worker that serves versions of that source."""
    counters = Counters()
    host = ModelHost(source, settings.pinned, MAX_MINIBATCH, counters)
    embeddings = EmbeddingStore(settings.embeddings, settings.embeddings_bytes, _BUSY_SECONDS)
    limits = (settings.max_pixels, settings.max_request_pixels)
    scorer = Scorer(*limits, counters, embeddings)
    admission = Admission(settings.max_waiting, settings.max_in_flight_bytes)
    app = create_app()
    app.state.inspector = AppState(settings, host, scorer, counters, admission)
    return app


async def score(request: Request, state: State) -> Response:
    """Score castings with the current version, or another one of the same model."""
    binary = wants_binary(request.headers.get("accept", ""))
    score_form = partial(_score, binary=binary)
    served, content, rows = await _in_time(request, state, FIELDS, score_form)
    answers = [row for row in rows if "unknown" not in row]
    state.counters.scored(served.version.number, answers)
    note(version=served.version.number, castings=len(answers))
    return Response(content, media_type=BINARY if binary else JSON, headers={"Vary": "Accept"})


async def _score(
    state: AppState, form: ScoreRequest, *, binary: bool
) -> tuple[Served, bytes, list[Answer | Unknown]]:
    served = await _wanted_version(state.host, form)
    return served, *await state.scorer.score(served, form, binary=binary)


async def explain(request: Request, state: State) -> Response:
    """Show where on one casting the verdict comes from."""
    served, content, headers = await _in_time(request, state, EXPLAIN_FIELDS, _explain)
    note(version=served.version.number)
    return Response(content, media_type=PNG, headers=headers)


async def _explain(state: AppState, form: ScoreRequest) -> tuple[Served, bytes, dict[str, str]]:
    image = only_image(form)
    served = await _wanted_version(state.host, form)
    draw = partial(picture, served, image, state.settings.max_pixels)
    return served, *await state.scorer.compute(draw)


async def _in_time(
    request: Request,
    state: AppState,
    fields: Sequence[str],
    answer: Callable[[AppState, ScoreRequest], Coroutine[Any, Any, T]],
) -> T:
    """The answer to the form of a request, if it is let in, its client stays, and time is left."""
    deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
    with state.admission.admit(request.stream()) as body:
        slow = TooSlow(f"the body has not come within {ANSWER_SECONDS:.0f} s; send less at a time")
        async with by(deadline, slow):
            form = await read_form(request.headers, body, state.settings, fields)
        late = NotNow(f"no answer within {ANSWER_SECONDS:.0f} s; send fewer castings at a time", 1)
        async with by(deadline, late):
            return await while_there(request, answer(state, form))


async def _wanted_version(host: ModelHost, form: ScoreRequest) -> Served:
    """The version that the request finishes on, whatever is swapped meanwhile."""
    if form.model_version is None:
        return host.current()
    # Shielded: others may wait for the same load when this client goes away.
    return await asyncio.shield(asyncio.wrap_future(host.take(form.model_version)))


async def model(state: State) -> schemas.ModelBody:
    """What is served, since when, and what is known of the registry."""
    return _describe(state.host)


async def reload(state: State) -> schemas.ModelBody:
    """Look at the registry now; other workers follow within the polling interval."""
    await asyncio.shield(asyncio.wrap_future(state.host.look_now()))
    return _describe(state.host)


async def docs(request: Request) -> Response:
    """The API for people."""
    return HTMLResponse(reference.page(request.app.openapi()), headers=reference.HEADERS)


async def scrape(state: State) -> Response:
    """Metrics for Prometheus."""
    content, media_type = await asyncio.to_thread(
        exposition.exposition, state.host, state.admission, state.counters
    )
    return Response(content, headers={"Content-Type": media_type})


def _describe(host: ModelHost) -> schemas.ModelBody:
    try:
        served = host.current()
    except NotNow as refusal:
        refusal.extra = {"registry": host.registry.model_dump(mode="json")}
        raise
    predictor = served.predictor
    return schemas.ModelBody(
        name=served.version.name,
        version=served.version.number,
        run_id=served.version.run_id,
        classes=list(predictor.classes),
        **asdict(predictor.operating),
        preprocessing=schemas.PreprocessingBody(**asdict(predictor.preprocessing)),
        precision=predictor.precision,
        since=served.since,
        pinned=host.pinned,
        registry=host.registry,
    )


async def _refuse(request: Request, refusal: Refusal) -> Response:
    state = await _state(request)
    state.counters.refusals.labels(type(refusal).__name__).inc()
    note(refusal=str(refusal))
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    images = [asdict(image) for image in refusal.images]
    body = {"error": str(refusal), "images": images, **refusal.extra}
    return JSONResponse(body, refusal.status, headers)


async def _refuse_route(_: Request, error: HTTPException) -> Response:
    """Starlette's own refusals, a wrong method say, in the form of ours."""
    body = {"error": error.detail, "images": []}
    return JSONResponse(body, error.status_code, error.headers)


async def _gone(_: Request, __: Exception) -> Response:
    """What a client that went away in the middle of its request is not there to read."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)
