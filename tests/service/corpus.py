"""Hostile and odd requests to `POST /score`, each with the answer that is right.

    python -m tests.service.corpus http://127.0.0.1:3000 > docs/hostile-input.md

writes the table of the docs: what that service really answers.
"""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import httpx
import numpy as np

from tests.service.cases import (
    MULTIPART,
    Case,
    Refused,
    Scored,
    beside,
    same,
    sent,
    truncated,
    typed,
    value,
)
from tests.service.fakes import multipart, named
from tests.service.pictures import (
    GREY,
    animated,
    claiming,
    cmyk,
    decoded,
    image,
    rotated,
    see_through,
    tiff_tile,
    zipped,
)

WELL = Scored(GREY)
HASH = hashlib.sha256(image(GREY)).hexdigest()
NO_IMAGE = Refused(400, "not an image of a kind we read")
GOOD = multipart((named("images", "a.png"), image(GREY)))
TYPE = "\r\nContent-Type: "

CASES: dict[str, Case] = {
    # images that are scored
    "8-bit grey PNG": sent(image(GREY), WELL),
    "BMP": sent(image(GREY, "BMP"), WELL),
    "TIFF": sent(image(GREY, "TIFF"), WELL),
    "TIFF, LZW": sent(image(GREY, "TIFF", compression="tiff_lzw"), WELL),
    "GIF": sent(image(GREY, "GIF"), WELL),
    "WebP": sent(image(GREY, "WEBP", lossless=True), WELL),
    "JPEG": same(image(GREY, "JPEG"), decoded(image(GREY, "JPEG"))),
    "16-bit PNG": sent(image(GREY.astype(np.uint16) * 257), WELL),
    "16-bit TIFF": sent(image(GREY.astype(np.uint16) * 257, "TIFF"), WELL),
    "1-bit PNG": sent(image(GREY > 127), Scored(((GREY > 127) * 255).astype(np.uint8))),
    "colour PNG of grey": sent(image(GREY, mode="RGB"), WELL),
    "palette PNG": sent(image(GREY, mode="P"), WELL),
    "CMYK JPEG": same(cmyk("JPEG"), decoded(cmyk("JPEG"))),
    "CMYK TIFF": sent(cmyk("TIFF"), WELL),
    "alpha, over black": same(*see_through()),
    "animated GIF, first frame": sent(animated("GIF"), WELL),
    "animated WebP, first frame": sent(animated("WEBP", lossless=True), WELL),
    "animated PNG, first frame": sent(animated("PNG"), WELL),
    "TIFF of several pages, the first": sent(animated("TIFF"), WELL),
    "EXIF-rotated JPEG": same(*rotated("JPEG")),
    "EXIF-rotated PNG": same(*rotated("PNG")),
    "EXIF-rotated TIFF": same(*rotated("TIFF")),
    "EXIF-rotated WebP": same(*rotated("WEBP", lossless=True)),
    "an image with a zip behind it": sent(image(GREY) + zipped(), WELL),
    "256 images": Case(multipart(*[(named("images"), image(GREY))] * 256), Scored(GREY, 256)),
    "wrong content type of a part": sent(
        image(GREY), WELL, named("images", "a.svg") + TYPE + "image/svg+xml"
    ),
    "content type of a part that is no type": sent(
        image(GREY), WELL, named("images", "a.png") + TYPE + "\xff;;,"
    ),
    "no file name": sent(image(GREY), WELL, named("images")),
    "file name ../../etc/passwd": sent(image(GREY), WELL, named("images", "../../etc/passwd")),
    "file name /tmp/casting": sent(image(GREY), WELL, named("images", "/tmp/casting")),  # noqa: S108
    "file name C:\\windows": sent(image(GREY), WELL, named("images", "C:\\windows")),
    "file name with a null byte": sent(image(GREY), WELL, named("images", "a\0.png")),
    "file name that is a URL": sent(image(GREY), WELL, named("images", "http://127.0.0.1/a")),
    "file name of 3,000 letters": sent(image(GREY), WELL, named("images", "x" * 3000)),
    "file name <script>": sent(image(GREY), WELL, named("images", "<script>alert(1)</script>")),
    "1000 passes": value("passes", "1000", WELL),
    "the largest seed": value("seed", str(2**63 - 1), WELL),
    "a casting and its hash": beside((named("known"), HASH.encode()), answer=Scored(GREY, 2)),
    "a hash and its casting": Case(
        multipart((named("known"), HASH.encode()), (named("images"), image(GREY))), Scored(GREY, 2)
    ),
    "256 of one casting by image and hash": Case(
        multipart(*[(named("images"), image(GREY)), (named("known"), HASH.encode())] * 128),
        Scored(GREY, 256),
    ),
    # images that are refused
    "empty file": sent(b"", Refused(400, "empty file")),
    "text": sent(b"just some text\n" * 20, NO_IMAGE),
    "HTML": sent(b"<!doctype html><html><body>404</body></html>", NO_IMAGE),
    "SVG": sent(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', NO_IMAGE),
    "zip": sent(zipped(), NO_IMAGE),
    "PDF": sent(b"%PDF-1.7\n%...\n", NO_IMAGE),
    "PostScript": sent(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NO_IMAGE),
    "a URL": sent(b"http://127.0.0.1/a.png", NO_IMAGE, named("images")),
    "base64": sent(
        b"iVBORw0KGgo=", NO_IMAGE, named("images") + "\r\nContent-Transfer-Encoding: base64"
    ),
    "JPEG truncated at every tenth": truncated("JPEG"),
    "PNG truncated at every tenth": truncated("PNG"),
    "BMP truncated at every tenth": truncated("BMP"),
    "TIFF truncated at every tenth": truncated("TIFF"),
    "WebP truncated at every tenth": truncated("WEBP"),
    "GIF truncated at every tenth": truncated("GIF"),
    "30,000 x 30,000": sent(claiming(30_000, 30_000), Refused(400, "more pixels than the")),
    "12,000 x 12,000": sent(claiming(12_000, 12_000), Refused(400, "is 144000000 pixels, more")),
    "2,000 x 2,000 said, fewer there": sent(
        claiming(2000, 2000), Refused(400, "damaged or truncated")
    ),
    "TIFF with a tile of 30,000 x 30,000": sent(tiff_tile(30_000), Refused(400, "30000 x 30000")),
    "1 x 1": sent(image(GREY[:1, :1]), Refused(400, "no contrast")),
    "all black": sent(image(0 * GREY), Refused(400, "no contrast")),
    "all white": sent(image(0 * GREY + 255), Refused(400, "no contrast")),
    "floating-point TIFF": sent(
        image(GREY.astype(np.float32), "TIFF"), Refused(400, "save it as 16 bit")
    ),
    "a good one and a bad one": beside(
        (named("images", "b.png"), b"GIF89a"), answer=Refused(400, "1 of 2 images cannot be read")
    ),
    # forms
    "257 images": Case(
        multipart(*[(named("images"), b"1")] * 257), Refused(413, "at most 256 images")
    ),
    "10,000 parts": Case(
        multipart(*[(named("images"), b"")] * 10_000), Refused(413, "at most 256 images")
    ),
    "10,000 unknown fields": Case(
        multipart(*[(named(f"f{n}"), b"") for n in range(10_000)]), Refused(400, "unknown field")
    ),
    "a huge field": value("passes", "1" * 2_000_000, Refused(400, "longer than 1024 bytes")),
    "a huge field name": value("p" * 5000, "1", Refused(400, "not a well-formed")),
    "a huge header": sent(b"", Refused(400, "not a well-formed"), named("images", "x" * 100_000)),
    "a field given twice": beside(
        (named("seed"), b"1"), (named("seed"), b"2"), answer=Refused(400, "seed is given twice")
    ),
    "a field sent as a file": beside(
        (named("passes", "../passes"), b"5"), answer=Refused(400, "send its value as text")
    ),
    "passes=0": value("passes", "0"),
    "passes=-1": value("passes", "-1"),
    "passes=1001": value("passes", "1001"),
    "passes of 500 digits": value("passes", "9" * 500),
    "passes=1e3": value("passes", "1e3"),
    "passes=NaN": value("passes", "NaN"),
    "passes=[50]": value("passes", "[50]"),
    "passes in Arabic digits": value("passes", "\u0665"),
    "seed=-1": value("seed", "-1"),
    "seed=2^63": value("seed", str(2**63)),
    "seed with a null byte": value("seed", "1\0"),
    "model_version=../../1": value("model_version", "../../1"),
    "model_version=1' OR 1=1": value("model_version", "1' OR 1=1"),
    "model_version of 30 digits": value("model_version", "9" * 30, Refused(404, "no version")),
    "include=__class__": value("include", "__class__"),
    "known=../../etc/passwd": value("known", "../../etc/passwd"),
    "known in capital letters": value("known", HASH.upper()),
    "known with a null byte": value("known", HASH + "\0"),
    "known=' OR '1'='1": value("known", "' OR '1'='1"),
    "known sent as a file": beside(
        (named("known", "a.png"), image(GREY)), answer=Refused(400, "send its value as text")
    ),
    "257 by image and hash": Case(
        multipart((named("images"), b"1"), *[(named("known"), HASH.encode())] * 256),
        Refused(413, "at most 256 images"),
    ),
    "no images": Case(multipart((named("passes"), b"5")), Refused(400, "no images")),
    "a part without a name": Case(
        multipart(("Content-Type: image/png", b"1")), Refused(400, "no name")
    ),
    "cut off in the middle": Case(GOOD[:500], Refused(400, "before its closing boundary")),
    "an empty body": Case(b"", Refused(400, "ends after 0 bytes")),
    "another boundary": typed("multipart/form-data; boundary=c", GOOD, Refused(400, "not a well")),
    "no boundary": typed("multipart/form-data", GOOD, Refused(400, "no multipart boundary")),
    "JSON": typed("application/json", b'{"images": []}', Refused(415, "multipart/form-data")),
    "JSON that says it is a form": typed(MULTIPART, b"{}", Refused(400, "not a well-formed")),
    "an image as the body": typed("image/png", image(GREY), Refused(415, "not image/png")),
    "urlencoded": typed(
        "application/x-www-form-urlencoded", b"images=1", Refused(415, "not application/x-www")
    ),
    "no content type": typed(None, GOOD, Refused(415, "not nothing")),
    "65 MiB": sent(bytes(65 * 2**20), Refused(413, "larger than the 67108864 bytes")),
}


def mistakes(case: Case, response: httpx.Response, right: list[dict[str, Any]]) -> str:
    """Where the answer differs from the right one; `right` are the rows of the image it is as."""
    if isinstance(case.answer, Refused):
        body = response.json()
        told = json.dumps(body, ensure_ascii=False)
        fits = response.status_code == case.answer.status and case.answer.saying in told
        return (
            "" if fits and set(body) >= {"error", "images"} else f"{response.status_code} {told}"
        )
    if response.status_code != 200:
        return f"{response.status_code} {response.text}"
    rows = response.json()["castings"]
    if len(rows) != case.answer.castings:
        return f"{len(rows)} castings"
    differences = [
        abs(row["probabilities"][name] - right[0]["probabilities"][name])
        for row in rows
        for name in row["probabilities"]
    ]
    return "" if max(differences) <= 1e-5 else f"probabilities off by {max(differences):.2g}"


Post = Callable[..., httpx.Response]


def try_out(case: Case, post: Post) -> tuple[httpx.Response, str]:
    """The answer, and what is wrong with it."""
    response = post("/score", content=case.body, headers=case.headers)
    right: list[dict[str, Any]] = []
    if isinstance(case.answer, Scored):
        files = [("images", ("a.png", image(case.answer.as_)))]
        right = post("/score", files=files).json()["castings"]
    return response, mistakes(case, response, right)


def row(name: str, case: Case, post: Post) -> str:
    response, wrong = try_out(case, post)
    if wrong:
        return f"| {name} | {response.status_code} | **wrong**: {cell(wrong)} |"
    if isinstance(case.answer, Scored):
        return f"| {name} | 200 | scored as its upright 8-bit equivalent |"
    body = response.json()
    reasons = [body["error"], *(image["reason"] for image in body["images"][:1])]
    return f"| {name} | {response.status_code} | {cell(': '.join(reasons))} |"


def cell(text: str) -> str:
    short = text if len(text) <= 160 else text[:160] + "…"
    return short.replace("\0", "\\0").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def page(post: Post) -> str:
    packages = ("bentoml", "starlette", "python-multipart", "pillow", "torch")
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    rows = [row(name.replace("<", "&lt;"), case, post) for name, case in CASES.items()]
    return "\n".join(
        [
            "# Hostile input",
            "",
            "What a running service answered to each row of `tests/service/corpus.py`, written by",
            "`python -m tests.service.corpus URL`. An answer is right when it has the",
            "probabilities of the upright 8-bit equivalent, or is a 4xx that says what is wrong.",
            "",
            f"Python {platform.python_version()}, {versions}.",
            "",
            "| sent | status | answer |",
            "|---|---|---|",
            *rows,
        ]
    )


if __name__ == "__main__":
    key = os.environ.get("CASTING_API_KEY")
    bearer = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=sys.argv[1], headers=bearer, timeout=60) as client:
        sys.stdout.write(page(client.post) + "\n")
