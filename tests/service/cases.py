"""A request to `POST /score` and the answer that is right, as rows of a table."""

from dataclasses import dataclass, field

import numpy as np

from tests.service.fakes import multipart, named
from tests.service.pictures import GREY, image

MULTIPART = "multipart/form-data; boundary=b"


@dataclass(frozen=True)
class Scored:
    """The answer is a 200 with the numbers of this 8-bit grey image."""

    as_: np.ndarray
    castings: int = 1


@dataclass(frozen=True)
class Refused:
    """The answer is this 4xx, and its body says this."""

    status: int
    saying: str


@dataclass(frozen=True)
class Case:
    body: bytes
    answer: Scored | Refused
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": MULTIPART})


def sent(data: bytes, answer: Scored | Refused, headers: str = named("images", "a.png")) -> Case:
    return Case(multipart((headers, data)), answer)


def same(data: bytes, as_: np.ndarray) -> Case:
    return sent(data, Scored(as_))


def beside(*parts: tuple[str, bytes], answer: Scored | Refused) -> Case:
    """Further parts beside a good image."""
    return Case(multipart((named("images", "a.png"), image(GREY)), *parts), answer)


def value(name: str, text: str, answer: Scored | Refused | None = None) -> Case:
    return beside((named(name), text.encode()), answer=answer or Refused(400, f"{name}="))


def truncated(kind: str) -> Case:
    whole = image(GREY, kind)
    parts = [(named("images", f"{n}"), whole[: len(whole) * n // 10]) for n in range(1, 10)]
    return Case(multipart(*parts), Refused(400, "9 of 9 images cannot be read"))


def typed(content_type: str | None, body: bytes, answer: Refused) -> Case:
    return Case(body, answer, {} if content_type is None else {"Content-Type": content_type})
