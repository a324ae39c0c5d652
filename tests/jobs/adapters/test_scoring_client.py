import json
from collections.abc import Callable

import httpx
import pytest
import torch
from safetensors.torch import save

from jobs.adapters.scoring_client import RETRY_SECONDS, ScoringClient
from jobs.campaign.ports import Request, stack
from models.errors import ServiceError

REQUEST = Request(version="7", run_id="r7", passes=3, seed=5, include=("posterior",))
IMAGES = [("a", b"aaaa"), ("b", b"bbbb"), ("c", b"cccc")]

PICTURE = b"\x89PNG picture"
Handler = Callable[[httpx.Request], httpx.Response]


def _client(handler: Handler, slept: list[float]) -> ScoringClient:
    transport = httpx.MockTransport(handler)
    return ScoringClient("http://service", "secret", transport=transport, sleep=slept.append)


def _answer(names: list[str], run_id: str = "r7") -> httpx.Response:
    model = {"name": "casting-defects", "version": "7", "run_id": run_id}
    body = {"model": model, "castings": [{"casting": name} for name in names]}
    content = save({"posterior": torch.ones(len(names), 3, 2)}, {"json": json.dumps(body)})
    return httpx.Response(200, content=content)


def _names(request: httpx.Request) -> list[str]:
    return [name for name, _ in IMAGES if f'filename="{name}"'.encode() in request.read()]


def test_castings_are_sent_with_version_passes_seed_and_key():
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return _answer(_names(request))

    scored = _client(handler, []).score(IMAGES, REQUEST)
    assert [a["casting"] for a in scored.answers] == ["a", "b", "c"]
    assert scored.tensors["posterior"].shape == (3, 3, 2)
    body = seen[0].read().decode(errors="replace")
    fields = {"passes": "3", "seed": "5", "model_version": "7", "include": "posterior"}
    for name, value in fields.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n' in body
    assert seen[0].headers["authorization"] == "Bearer secret"


def test_a_key_may_be_any_text():
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return _answer(_names(request))

    transport = httpx.MockTransport(handler)
    ScoringClient("http://service", "Schlüssel 鍵", transport=transport).score(IMAGES, REQUEST)
    raw = dict(seen[0].headers.raw)
    assert raw[b"Authorization"] == "Bearer Schlüssel 鍵".encode()  # as curl sends it


def test_unreadable_castings_are_set_aside_and_the_rest_is_sent_again():
    def handler(request: httpx.Request) -> httpx.Response:
        names = _names(request)
        if "b" in names:
            images = [{"index": names.index("b"), "name": "b", "reason": "truncated"}]
            return httpx.Response(400, json={"error": "1 of 3", "images": images})
        return _answer(names)

    scored = _client(handler, []).score(IMAGES, REQUEST)
    assert [a["casting"] for a in scored.answers] == ["a", "c"]
    assert scored.refused == {1: "truncated"}


def test_when_no_casting_is_readable_the_answer_is_empty():
    def handler(request: httpx.Request) -> httpx.Response:
        images = [{"index": i, "reason": "empty"} for i in range(len(_names(request)))]
        return httpx.Response(400, json={"error": "all", "images": images})

    scored = _client(handler, []).score(IMAGES, REQUEST)
    assert scored.answers == []
    assert set(scored.refused) == {0, 1, 2}


def test_a_busy_or_absent_service_is_waited_for():
    calls = iter(["away", "busy", "fine"])

    def handler(request: httpx.Request) -> httpx.Response:
        match next(calls):
            case "away":
                raise httpx.ConnectError("connection refused")
            case "busy":
                return httpx.Response(503, headers={"Retry-After": "3"}, json={"error": "full"})
            case _:
                return _answer(_names(request))

    slept: list[float] = []
    assert len(_client(handler, slept).score(IMAGES, REQUEST).answers) == 3
    assert slept == [0.25, 3.0]


def test_a_service_of_the_jobs_own_is_started_again_when_it_does_not_answer():
    alive = False

    def handler(request: httpx.Request) -> httpx.Response:
        if not alive:
            raise httpx.ReadError("connection reset by peer")
        return _answer(_names(request))

    def revive() -> None:
        nonlocal alive
        alive = True

    transport = httpx.MockTransport(handler)
    client = ScoringClient("http://s", revive=revive, transport=transport, sleep=lambda _: None)
    assert len(client.score(IMAGES, REQUEST).answers) == 3


def test_a_service_that_stays_away_is_an_error_within_the_stated_patience():
    def handler(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    slept: list[float] = []
    said: list[str] = []
    client = ScoringClient(
        "http://s",
        say=said.append,
        transport=httpx.MockTransport(handler),
        sleep=slept.append,
        clock=lambda: sum(slept),
    )
    with pytest.raises(ServiceError, match=r"not to be had for 12\d s \(connection refused\)"):
        client.score(IMAGES, REQUEST)
    assert RETRY_SECONDS <= sum(slept) <= RETRY_SECONDS + 8
    assert said == ["scoring service: connection refused; trying again for up to 120 s"]


def test_any_other_refusal_is_an_error_with_the_services_words():
    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={"error": "no version 7"})

    with pytest.raises(ServiceError, match="answers 404: no version 7"):
        _client(handler, []).score(IMAGES, REQUEST)


def test_chunks_are_stacked_in_order():
    chunks = [{"embedding": torch.zeros(2, 4)}, {}, {"embedding": torch.ones(1, 4)}]
    stacked = stack(chunks, "embedding")
    assert stacked is not None
    assert stacked[:, 0].tolist() == [0, 0, 1]
    assert stack(chunks, "posterior") is None


def test_a_service_of_another_registry_is_found_out():
    def handler(request: httpx.Request) -> httpx.Response:
        return _answer(_names(request), run_id="somebody-else's")

    with pytest.raises(ServiceError, match="of run somebody-else's, the round's run is r7"):
        _client(handler, []).score(IMAGES, REQUEST)


def test_what_is_too_much_at_once_is_sent_in_halves_and_what_is_too_large_alone_is_refused():
    def handler(request: httpx.Request) -> httpx.Response:
        names = _names(request)
        if len(names) > 1 or names == ["c"]:
            return httpx.Response(413, json={"error": "too large"})
        return _answer(names)

    scored = _client(handler, []).score(IMAGES, REQUEST)
    assert [a["casting"] for a in scored.answers] == ["a", "b"]
    assert scored.tensors["posterior"].shape == (2, 3, 2)
    assert scored.refused == {2: "too large for the service: 4 bytes"}


def test_a_casting_is_explained_by_the_version_asked():
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=PICTURE, headers={"Content-Type": "image/png"})

    assert _client(handler, []).explain(IMAGES[1], "7") == PICTURE
    body = seen[0].read().decode()
    assert seen[0].url.path == "/explain"
    assert 'name="model_version"\r\n\r\n7\r\n' in body
    assert 'filename="b"' in body
    assert "passes" not in body


def test_a_service_that_explains_nothing_is_an_error_at_once():
    slept: list[float] = []
    client = _client(lambda _: httpx.Response(404, json={"error": "Not Found"}), slept)
    with pytest.raises(ServiceError, match="answers 404: Not Found"):
        client.explain(IMAGES[0], "7")
    assert slept == []
