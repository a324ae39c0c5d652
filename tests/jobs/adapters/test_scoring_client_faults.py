"""Answers that are none, or not whole."""

import httpx
import pytest

from jobs.adapters.scoring_client import ScoringClient
from jobs.campaign.ports import Scored
from models.errors import ServiceError
from tests.jobs.adapters.test_scoring_client import IMAGES, REQUEST, _answer

WHOLE = _answer(["a", "b", "c"]).content


def _score(*answers: httpx.Response) -> tuple[Scored, list[float]]:
    """The scores from a service that answers so, one after the other, and what was waited."""
    left, slept = iter(answers), list[float]()
    transport = httpx.MockTransport(lambda _: next(left))
    client = ScoringClient(
        "http://service", transport=transport, sleep=slept.append, clock=lambda: sum(slept)
    )
    return client.score(IMAGES, REQUEST), slept


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_failure_of_the_service_is_waited_out(status: int):
    scored, slept = _score(httpx.Response(status, text="oops"), _answer(["a", "b", "c"]))
    assert [answer["casting"] for answer in scored.answers] == ["a", "b", "c"]
    assert slept == [0.25]


@pytest.mark.parametrize("length", [0, 5, 9, 100, len(WHOLE) // 2, len(WHOLE) - 1])
def test_an_answer_that_breaks_off_is_asked_for_again(length: int):
    half = httpx.Response(200, content=WHOLE[:length])
    scored, slept = _score(half, _answer(["a", "b", "c"]))
    assert len(scored.answers) == 3
    assert slept == [0.25]


def test_a_service_that_breaks_off_for_ever_is_a_clear_error():
    half = [httpx.Response(200, content=WHOLE[:50]) for _ in range(99)]
    with pytest.raises(ServiceError, match=r"not to be had for 12\d s \(an answer that"):
        _score(*half)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<html>Welcome to nginx</html>"),
        httpx.Response(200, json={"hello": "world"}),
        httpx.Response(200, text="OK, all is well"),
        httpx.Response(200, text="ok"),
        httpx.Response(204),
        httpx.Response(200, content=bytes(1000)),
        _answer(["a", "b"]),  # a row is missing
        httpx.Response(200, content=WHOLE.replace(b"posterior", b"superior!")),
    ],
)
def test_an_answer_that_is_not_ours_is_a_clear_error_at_once(answer: httpx.Response):
    with pytest.raises(ServiceError, match=r"no answer of a scoring service .* is --service-url"):
        _score(answer)


@pytest.mark.parametrize(
    "images", [[{"index": 7, "reason": "x"}], [{"index": -1, "reason": "x"}], ["x"], "x", 5]
)
def test_a_refusal_that_names_no_image_of_ours_is_an_error(images: object):
    with pytest.raises(ServiceError, match="answers 400: no"):
        _score(httpx.Response(400, json={"error": "no", "images": images}))


def test_a_picture_that_is_none_is_an_error():
    transport = httpx.MockTransport(lambda _: httpx.Response(200, html="<html>"))
    with pytest.raises(ServiceError, match="no picture"):
        ScoringClient("http://service", transport=transport).explain(IMAGES[0], "7")
