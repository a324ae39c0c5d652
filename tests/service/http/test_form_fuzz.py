"""Damaged forms, cut anywhere: read the same however they arrive, or refused with a 4xx."""

import asyncio
import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from service.http.form import read_form
from service.refusals import Refusal
from service.scoring.request import ScoreRequest
from service.settings import Settings
from tests.service.fakes import multipart, named

VALID = (
    multipart((named("images", "a.png"), b"\r\n--\r\n--c\x00\xff"), (named("passes"), b"20")),
    multipart((named("images"), b"1"), (named("seed"), b"3"), (named("include"), b"posterior")),
    multipart((named("model_version"), b"7"), (named("images", 'ä;\\"x'), bytes(300))),
    multipart((named("known"), b"0" * 64), (named("images"), b"1"), (named("known"), b"a" * 64)),
)
TOKENS = (b"--b", b"--b--", b"\r\n", b"\r\n\r\n", b"\r\n--b\r\n", b"--", b"\0", b'"', b":", b";")
fuzz = settings(max_examples=300, deadline=None, derandomize=True, database=None)

places = st.integers(0, 10**6)
changes = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "repeat", "cut", "splice"]),
        places,
        places,
        st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(TOKENS)),
    ),
    min_size=1,
    max_size=5,
)


def damaged(body: bytes, how: Sequence[tuple[str, int, int, bytes]]) -> bytes:
    for kind, one, other, data in how:
        start, stop = sorted((one % (len(body) + 1), other % (len(body) + 1)))
        body = {
            "replace": body[:start] + data + body[start + len(data) :],
            "insert": body[:start] + data + body[start:],
            "delete": body[:start] + body[min(stop, start + 20) :],
            "repeat": body[:stop] + body[start:stop] + body[stop:],
            "cut": body[:stop],
            "splice": body[:start] + VALID[other % len(VALID)][start:],
        }[kind]
    return body


def outcome(body: bytes, cuts: Sequence[int], content_type: str) -> ScoreRequest | Refusal:
    async def pieces():
        edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
        for start, stop in itertools.pairwise(edges):
            yield body[start:stop]

    limits = Settings(max_images=3, max_body_bytes=5000)
    try:
        return asyncio.run(read_form({"content-type": content_type}, pieces(), limits))
    except Refusal as refusal:
        return refusal


def meaning(body: bytes, cuts: Sequence[int], content_type: str) -> object:
    """The request, or the status of its refusal, which must be the client's fault and say why."""
    result = outcome(body, cuts, content_type)
    if isinstance(result, ScoreRequest):
        return result
    assert 400 <= result.status < 500
    assert str(result)
    return result.status


@fuzz
@given(st.sampled_from(VALID), changes, st.lists(places, max_size=6))
def test_a_damaged_form_means_the_same_however_it_is_cut(body, how, cuts):
    body = damaged(body, how)
    kind = "multipart/form-data; boundary=b"
    assert meaning(body, cuts, kind) == meaning(body, [], kind)


@fuzz
@given(st.sampled_from(VALID), st.text(st.characters(max_codepoint=255), max_size=40))
def test_no_content_type_breaks_the_parser(body, text):
    meaning(body, [], text)
    meaning(body, [], f"multipart/form-data; {text}")
    meaning(body, [], f"multipart/form-data; boundary={text}")


@fuzz
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=80))
def test_no_part_header_breaks_the_parser(text):
    for headers in (text, f"Content-Disposition: {text}", named(text, text)):
        meaning(multipart((headers, b"1")), [], "multipart/form-data; boundary=b")
