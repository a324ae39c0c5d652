"""The scoring service as the jobs see it: castings in, numbers out, over HTTP only.

Outages are waited for within bounds; images that the service cannot read are set aside and the
rest is sent again; anything else it refuses is an error.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from safetensors import SafetensorError
from safetensors.torch import load
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from jobs.adapters.retry import failure
from jobs.campaign.ports import Request, Scored, stack
from models.errors import ServiceError

RETRY_SECONDS = 120.0  # seconds of trying before a service that is away or busy counts as gone
_LONGEST_PAUSE = 8.0
_PAUSES = wait_exponential(0.25, max=_LONGEST_PAUSE)
_TOLD_AFTER = 4.0
_TIMEOUT = httpx.Timeout(300.0, connect=10.0)
_TOO_MANY_REQUESTS = httpx.codes.TOO_MANY_REQUESTS
_BINARY = "application/octet-stream"
_HEADER_LENGTH = 8
_LONGEST_HEADER = 100_000_000  # bytes, as safetensors has it
_PNG = b"\x89PNG"
_Part = tuple[str, tuple[str | None, bytes, str]]


class ScoringClient:
    """A scoring service at a URL; safe to use from several threads.

    Where there is no answer, `revive` is called, which starts it again where that can be done.
    Errors name the `log` of a service of the job's own.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- the outside world is an argument
        self,
        url: str,
        api_key: str | None = None,
        revive: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = lambda _: None,
        log: Path | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        headers = {b"Accept": _BINARY.encode()}
        if api_key:
            headers[b"Authorization"] = f"Bearer {api_key}".encode()
        self._named = f"the service at {url}" + (f" (its log: {log})" if log else "")
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport, trust_env=False
        )
        self._revive = revive
        self._say = say
        self._sleep = sleep
        self._clock = clock

    def close(self) -> None:
        self._http.close()

    def score(self, images: Sequence[tuple[str, bytes]], request: Request) -> Scored:
        refused: dict[int, str] = {}
        while True:
            sent = [i for i in range(len(images)) if i not in refused]
            if not sent:
                return Scored([], {}, refused)
            response = self._post("/score", _images(images[i] for i in sent), request.fields())
            if response.is_success:
                return self._parse(response, request, refused, len(sent))
            slow = response.status_code == httpx.codes.REQUEST_TIMEOUT and len(images) > 1
            if slow or response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
                return self._in_halves(images, request)
            unreadable = _unreadable(response)
            if not unreadable or max(unreadable) >= len(sent) or min(unreadable) < 0:
                raise self._refusal(response)
            refused |= {sent[position]: reason for position, reason in unreadable.items()}

    def score_known(self, castings: Sequence[str], request: Request) -> Scored:
        parts = [("known", (None, casting.encode(), "text/plain")) for casting in castings]
        response = self._post("/score", parts, request.fields())
        if not response.is_success:
            raise self._refusal(response)
        scored = self._parse(response, request, {}, len(castings))
        unknown = {i: str(a["unknown"]) for i, a in enumerate(scored.answers) if "unknown" in a}
        answers = [answer for answer in scored.answers if "unknown" not in answer]
        return Scored(answers, scored.tensors, unknown)

    def explain(self, image: tuple[str, bytes], version: str) -> bytes:
        response = self._post("/explain", _images([image]), {"model_version": version})
        if not response.is_success:
            raise self._refusal(response)
        if not response.content.startswith(_PNG):
            raise self._not_ours(response, "no picture")
        return response.content

    def _refusal(self, response: httpx.Response) -> ServiceError:
        answer = f"{response.status_code}: {_error(response)}"
        return ServiceError(f"{self._named} answers {answer}")

    def _in_halves(self, images: Sequence[tuple[str, bytes]], request: Request) -> Scored:
        """Send less at a time; a casting that is too large even alone is refused."""
        if len(images) == 1:
            return Scored([], {}, {0: f"too large for the service: {len(images[0][1])} bytes"})
        middle = len(images) // 2
        first = self.score(images[:middle], request)
        second = self.score(images[middle:], request)
        both = [first.tensors, second.tensors]
        tensors = {name: stack(both, name) for name in {*first.tensors, *second.tensors}}
        refused = {**first.refused, **{middle + i: r for i, r in second.refused.items()}}
        kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        return Scored(first.answers + second.answers, kept, refused)

    def _not_ours(self, response: httpx.Response, problem: str) -> ServiceError:
        kind = response.headers.get("Content-Type", "no media type")
        return ServiceError(
            f"{self._named} answers {response.status_code} with {kind}, "
            f"which is no answer of a scoring service ({problem}); is --service-url its address?"
        )

    def _parse(
        self, response: httpx.Response, request: Request, refused: Mapping[int, str], sent: int
    ) -> Scored:
        """Split safetensors into tensors and the JSON that its metadata carries.

        Raises:
            ServiceError: it is nothing of the kind, it has not a row for each of the castings
                sent, or it is of another version.
        """
        try:
            header, _ = _header(response.content)
            body = json.loads(header["__metadata__"]["json"])
            tensors = load(response.content)
            rows, model = list(body["castings"]), body["model"]
            scored = sum("unknown" not in row for row in rows)
            lengths = [len(tensors[name]) for name in request.include] if scored else []
            name, version, run_id = model["name"], model["version"], model["run_id"]
        except (ValueError, KeyError, TypeError, SafetensorError) as error:
            raise self._not_ours(response, f"{type(error).__name__}: {error}") from error
        if len(rows) != sent or set(lengths) - {scored}:
            problem = f"{len(rows)} rows and tensors of {lengths} for {sent} castings"
            raise self._not_ours(response, problem)
        if run_id != request.run_id:
            raise ServiceError(
                f"{self._named} answers with {name} version {version} of "
                f"run {run_id}, the round's run is {request.run_id}; it serves another registry"
            )
        return Scored(rows, tensors, refused)

    def _post(
        self, path: str, parts: Sequence[_Part], fields: Mapping[str, str]
    ) -> httpx.Response:
        """One request, repeated with growing pauses while the service is away or busy."""
        failed_at, told = math.inf, False

        def attempt() -> httpx.Response:
            response = self._http.post(path, data=fields, files=parts)
            if response.is_server_error or response.status_code == _TOO_MANY_REQUESTS:
                problem = f"{response.status_code} {_error(response)}"
                raise httpx.HTTPStatusError(problem, request=response.request, response=response)
            if _may_be_cut(response) and _is_cut(response.content):
                raise httpx.RemoteProtocolError("an answer that breaks off")
            return response

        def before_pause(state: RetryCallState) -> None:
            nonlocal failed_at, told
            failed_at = min(failed_at, self._clock())
            error = failure(state)
            if isinstance(error, httpx.TransportError):
                self._revive()
            waited, problem = self._clock() - failed_at, str(error) or type(error).__name__
            if waited >= RETRY_SECONDS:
                raise ServiceError(
                    f"{self._named} is not to be had for "
                    f"{waited:.0f} s ({problem}); start it, or give --service-url auto, and run "
                    f"the command again"
                )
            if waited >= _TOLD_AFTER and not told:
                told = True
                self._say(
                    f"scoring service: {problem}; trying again for up to {RETRY_SECONDS:.0f} s"
                )

        return Retrying(
            retry=retry_if_exception_type((httpx.TransportError, httpx.HTTPStatusError)),
            wait=lambda state: max(_PAUSES(state), _retry_after(failure(state))),
            before_sleep=before_pause,
            sleep=self._sleep,
        )(attempt)


def _images(images: Iterable[tuple[str, bytes]]) -> list[_Part]:
    return [("images", (name, data, "application/octet-stream")) for name, data in images]


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    """The header of safetensors, and the length of the whole; ValueError where it is none."""
    length = int.from_bytes(content[:_HEADER_LENGTH], "little")
    header = json.loads(content[_HEADER_LENGTH : _HEADER_LENGTH + length])
    ends = [0, *(entry["data_offsets"][1] for k, entry in header.items() if k != "__metadata__")]
    return header, _HEADER_LENGTH + length + max(ends)


def _may_be_cut(response: httpx.Response) -> bool:
    """Whether the head of an answer promises scores."""
    kind = response.headers.get("Content-Type", _BINARY)
    return response.status_code == httpx.codes.OK and str(kind) == _BINARY


def _is_cut(content: bytes) -> bool:
    """Whether this is the beginning of safetensors, and not all of it."""
    length = int.from_bytes(content[:_HEADER_LENGTH], "little")
    if not content[_HEADER_LENGTH:].startswith(b"{"):
        return len(content) <= _HEADER_LENGTH
    if len(content) < _HEADER_LENGTH + length:
        return length < _LONGEST_HEADER
    try:
        return len(content) < _header(content)[1]
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _unreadable(response: httpx.Response) -> dict[int, str]:
    if response.status_code != httpx.codes.BAD_REQUEST:
        return {}
    try:
        images = _body(response).get("images", [])
        return {int(image["index"]): str(image["reason"]) for image in images}
    except (ValueError, KeyError, TypeError):  # not in our words
        return {}


def _error(response: httpx.Response) -> str:
    return str(_body(response).get("error", response.text[:200]))


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {}


def _retry_after(error: BaseException) -> float:
    """The seconds that a busy service asks for."""
    headers = error.response.headers if isinstance(error, httpx.HTTPStatusError) else {}
    try:
        return min(float(headers.get("Retry-After", 0)), _LONGEST_PAUSE)
    except ValueError:
        return 0.0
