"""What `POST /score` accepts; every row of the tables is a request, none may become a 500."""

import asyncio
from collections.abc import Sequence

import pytest

from service.http.form import EXPLAIN_FIELDS, FIELDS, read_form
from service.refusals import Refusal
from service.scoring.request import MAX_SEED, ScoreRequest, Upload
from service.settings import Settings
from tests.service.fakes import in_pieces, multipart, named

IMAGE = (named("images", "a.png"), b"bytes")
HASH, OTHER = "0123456789abcdef" * 4, "f" * 64
KNOWN = (named("known"), HASH.encode())
CONTENT_TYPE = "multipart/form-data; boundary=b"


def read(
    body: bytes,
    content_type: str | None = CONTENT_TYPE,
    piece: int = 7,
    fields: Sequence[str] = FIELDS,
    **headers: str,
) -> ScoreRequest:
    async def pieces():
        for part in in_pieces(body, piece):
            yield part

    if content_type is not None:
        headers["content-type"] = content_type
    settings = Settings(max_images=3, max_body_bytes=10_000)
    return asyncio.run(read_form(headers, pieces(), settings, fields))


def with_field(name: str, value: str) -> bytes:
    return multipart(IMAGE, (named(name), value.encode()))


def test_defaults_are_those_of_the_contract():
    request = read(multipart(IMAGE))
    assert request == ScoreRequest((Upload("a.png", b"bytes"),), 50, 0, None, frozenset())


@pytest.mark.parametrize("piece", [1, 2, 7, 10_000])
def test_every_field_is_read_however_the_body_is_cut(piece):
    body = multipart(
        (named("passes"), b"20"),
        (named("images", "a.png"), b"\r\n--\r\n--c\x00\xff"),
        (named("seed"), str(MAX_SEED).encode()),
        (named("model_version"), b"007"),
        (named("include"), b"embedding, posterior"),
        (named("images", "b.png"), b""),
    )
    assert read(body, piece=piece) == ScoreRequest(
        images=(Upload("a.png", b"\r\n--\r\n--c\x00\xff"), Upload("b.png", b"")),
        passes=20,
        seed=MAX_SEED,
        model_version="7",
        include=frozenset({"posterior", "embedding"}),
    )


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_images_and_what_is_known_keep_the_order_in_which_they_are_sent(piece):
    body = multipart(KNOWN, IMAGE, (named("known"), OTHER.encode()))
    assert read(body, piece=piece).images == (
        Upload("", b"", known=HASH),
        Upload("a.png", b"bytes"),
        Upload("", b"", known=OTHER),
    )


def test_a_request_may_consist_of_what_is_known_alone():
    assert read(multipart(KNOWN)).images == (Upload("", b"", known=HASH),)


def test_explain_knows_no_known():
    with pytest.raises(Refusal, match="unknown field 'known'; there are images") as refusal:
        read(multipart(IMAGE, KNOWN), fields=EXPLAIN_FIELDS)
    assert refusal.value.status == 400


def test_an_image_without_a_file_name_keeps_its_bytes():
    assert read(multipart((named("images"), b"\x89PNG\xff"))).images == (
        Upload("", b"\x89PNG\xff"),
    )


@pytest.mark.parametrize("file_name", ["", "x" * 300, "ä.png", "../../etc/passwd", "passes"])
def test_file_names_are_only_repeated(file_name):
    assert read(multipart((named("images", file_name), b"1"))).images[0].name == file_name


REFUSED = {
    "no images": (multipart((named("passes"), b"5")), 400, "no images"),
    "an empty form": (multipart(), 400, "before its closing boundary|no images"),
    "an empty body": (b"", 400, "ends after 0 bytes"),
    "no multipart at all": (b"hello", 400, "not a well-formed multipart body"),
    "another boundary": (multipart(IMAGE, boundary="c"), 400, "not a well-formed"),
    "a body cut off in a part": (multipart(IMAGE)[:-9], 400, "before its closing boundary"),
    "a body cut off between parts": (multipart(IMAGE, end=False), 400, "closing boundary"),
    "a part without a name": (multipart(("Content-Type: a/b", b"1")), 400, "no name"),
    "a part without headers": (b"--b\r\n\r\nx\r\n--b--\r\n", 400, "no name|not a well-formed"),
    "a header that is too long": (multipart((named("images", "x" * 9000), b"1")), 400, "header"),
    "too many headers": (multipart((named("images") + "\r\nA: b" * 99, b"1")), 400, "header"),
    "an unknown field": (with_field("colour", "1"), 400, "unknown field 'colour'; there are"),
    "a field with an empty name": (with_field("", "1"), 400, "unknown field ''"),
    "a repeated field": (
        multipart(IMAGE, (named("seed"), b"1"), (named("seed"), b"1")),
        400,
        "seed is given twice",
    ),
    "a file named passes": (multipart(IMAGE, (named("passes", "p"), b"5")), 400, "is a file"),
    "a huge field": (with_field("passes", "1" * 5000), 400, "longer than 1024 bytes"),
    "bytes that are no text": (multipart(IMAGE, (named("seed"), b"\xff")), 400, "seed="),
    "too many images": (multipart(IMAGE, IMAGE, IMAGE, IMAGE), 413, "at most 3 images"),
    "too many known": (multipart(KNOWN, KNOWN, KNOWN, KNOWN), 413, "at most 3 images"),
    "too many of both": (multipart(KNOWN, IMAGE, KNOWN, IMAGE), 413, "at most 3 images"),
    "a file named known": (multipart((named("known", "a"), HASH.encode())), 400, "is a file"),
    "a huge hash": (multipart((named("known"), b"0" * 5000)), 400, "longer than 1024 bytes"),
    "too many bytes": (multipart((named("images"), b"0" * 10_001)), 413, "larger than the 10000"),
}


@pytest.mark.parametrize(("body", "status", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("piece", [1, 4096])
def test_refuses(body, status, message, piece):
    with pytest.raises(Refusal, match=message) as refusal:
        read(body, piece=piece)
    assert refusal.value.status == status


WRONG_VALUES = [
    *(
        ("passes", value)
        for value in ("0", "1001", "-1", "+5", "5.0", "1e2", "", " 5", "\u0665", "x")
    ),
    *(("seed", value) for value in ("-1", str(MAX_SEED + 1), "9" * 40, "0x1", "")),
    *(("model_version", value) for value in ("current", "-1", "1.0", "", "null", "1;drop")),
    *(
        ("known", value)
        for value in (
            "",
            HASH[1:],
            HASH + "0",
            HASH.upper(),
            "g" + HASH[1:],
            f" {HASH}",
            f"{HASH}\n",
            f"{HASH},{OTHER}",
            "../" + HASH,
            "\u0660" * 64,
        )
    ),
    *(("include", value) for value in ("all", "posterior;embedding", "posterior,logits")),
]


@pytest.mark.parametrize(("name", "value"), WRONG_VALUES)
def test_refuses_a_wrong_value_and_names_its_field(name, value):
    with pytest.raises(Refusal, match=f"^{name}=") as refusal:
        read(with_field(name, value))
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 415),
        ("", 415),
        ("application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/mixed; boundary=b", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ('multipart/form-data; boundary=""', 400),
        ("multipart/form-data; boundary=" + "b" * 300, 400),
        ("\xff", 415),
    ],
)
def test_refuses_the_content_type(content_type, status):
    with pytest.raises(Refusal) as refusal:
        read(multipart(IMAGE), content_type)
    assert refusal.value.status == status


def test_refuses_a_declared_length_before_reading():
    with pytest.raises(Refusal, match="larger than the 10000") as refusal:
        read(b"", **{"content-length": "10001"})
    assert refusal.value.status == 413


@pytest.mark.parametrize("length", ["", "-1", "x", "1e9"])
def test_a_nonsense_declared_length_is_left_to_the_server_to_mind(length):
    assert read(multipart(IMAGE), **{"content-length": length}).images
