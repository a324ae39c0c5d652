"""The multipart form of `POST /score` and `POST /explain`, read strictly.

By hand, on python-multipart's callbacks, rather than by Starlette's form or BentoML's: the first
takes a body cut off in the middle for a complete one, and turns a part without a file name into
text, which no image survives; the second answers 500 to forms that are damaged or too large, and
downloads a URL that is sent as a file.
"""

import re
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.http.schemas import ExplainForm, ScoreForm
from service.refusals import BadInput, TooLarge, WrongMediaType
from service.scoring.request import (
    DEFAULT_PASSES,
    DEFAULT_SEED,
    INCLUDABLE,
    MAX_PASSES,
    MAX_SEED,
    ScoreRequest,
    Upload,
)
from service.settings import Settings

FIELDS = tuple(ScoreForm.model_fields)
EXPLAIN_FIELDS = tuple(ExplainForm.model_fields)
_MAX_FIELD_BYTES = 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPEATED = ("images", "known")
_DIGITS = re.compile(r"[0-9]{1,30}")


async def read_form(
    headers: Mapping[str, str],
    body: AsyncIterable[bytes],
    settings: Settings,
    fields: Sequence[str] = FIELDS,
) -> ScoreRequest:
    """Parse a request of these fields while it arrives.

    The body is counted as it comes, for it may be longer than its `Content-Length`, or have none.

    Raises:
        BadInput: it is no complete multipart form, or a field is unknown, repeated or wrong.
        TooLarge: more bytes or images than allowed.
        WrongMediaType: it does not claim to be a multipart form.
    """
    parts = _Parts(settings.max_images, fields)
    parser = _parser(headers.get("content-type", ""), parts)
    _check_size(headers.get("content-length", ""), settings.max_body_bytes)
    received = 0
    async for chunk in body:
        received += len(chunk)
        _check_size(str(received), settings.max_body_bytes)
        try:
            parser.write(chunk)
        except FormParserError as error:
            raise BadInput(f"not a well-formed multipart body: {error}") from error
    if not parts.complete:
        raise BadInput(f"the body ends after {received} bytes, before its closing boundary")
    return _request(parts)


def _check_size(size: str, most: int) -> None:
    if _DIGITS.fullmatch(size) and int(size) > most:
        raise TooLarge(f"the body is larger than the {most} bytes allowed")


def _parser(content_type: str, parts: "_Parts") -> MultipartParser:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise WrongMediaType(
            f"send multipart/form-data, not {kind.decode('latin-1') or 'nothing'}"
        )
    boundary = options.get(b"boundary")
    if not boundary:
        raise BadInput("the Content-Type names no multipart boundary")
    callbacks: Any = {name: getattr(parts, name) for name in _CALLBACKS}
    try:
        return MultipartParser(boundary, callbacks)
    except FormParserError as error:
        raise BadInput(f"unusable multipart boundary: {error}") from error


@dataclass
class _Parts:
    """Collects parts, and refuses as soon as one is too many, too long, unknown or repeated.

    python-multipart calls what it is named for.
    """

    max_images: int
    allowed: Sequence[str]
    images: list[Upload] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    complete: bool = False
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _header_name: bytes = b""
    _header_value: bytes = b""
    _name: str = ""
    _file_name: str | None = None
    _data: bytearray = field(default_factory=bytearray)

    def on_part_begin(self) -> None:
        self._headers = {}
        self._data = bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise BadInput("a part has no name")
        self._name = _text(options[b"name"])
        self._file_name = _text(options[b"filename"]) if b"filename" in options else None
        if self._name in _REPEATED and (self._name == "images" or self._name in self.allowed):
            if len(self.images) == self.max_images:
                raise TooLarge(f"at most {self.max_images} images per request; send several")
            if self._name == "known" and self._file_name is not None:
                raise BadInput("the field known is a file; send its value as text")
        elif self._name not in self.allowed:
            raise BadInput(f"unknown field {self._name!r}; there are {', '.join(self.allowed)}")
        elif self._name in self.fields:
            raise BadInput(f"the field {self._name} is given twice")
        elif self._file_name is not None:
            raise BadInput(f"the field {self._name} is a file; send its value as text")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]
        if self._name != "images" and len(self._data) > _MAX_FIELD_BYTES:
            raise BadInput(f"the field {self._name} is longer than {_MAX_FIELD_BYTES} bytes")

    def on_part_end(self) -> None:
        if self._name == "images":
            self.images.append(Upload(self._file_name or "", bytes(self._data)))
        elif self._name == "known":
            self.images.append(Upload("", b"", known=_casting(_text(bytes(self._data)))))
        else:
            self.fields[self._name] = _text(bytes(self._data))
        self._data = bytearray()  # an image is not held twice while the next one comes

    def on_end(self) -> None:
        self.complete = True


_CALLBACKS = [name for name in vars(_Parts) if name.startswith("on_")]


def _casting(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise BadInput(
            f"known={text[:80]!r}: the SHA-256 of a casting's bytes is needed, 64 of 0-9 and a-f"
        )
    return text


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _request(parts: _Parts) -> ScoreRequest:
    if not parts.images:
        raise BadInput("no images; send at least one part named images, or known")
    fields = parts.fields
    version = fields.get("model_version")
    if version is not None:
        version = str(_whole("model_version", version, 0, 10**30))
    return ScoreRequest(
        images=tuple(parts.images),
        passes=_whole("passes", fields.get("passes", str(DEFAULT_PASSES)), 1, MAX_PASSES),
        seed=_whole("seed", fields.get("seed", str(DEFAULT_SEED)), 0, MAX_SEED),
        model_version=version,
        include=_include(fields.get("include", "")),
    )


def _whole(name: str, text: str, least: int, most: int) -> int:
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
        raise BadInput(f"{name}={text!r}: a whole number from {least} to {most} is needed")
    return int(text)


def _include(text: str) -> frozenset[str]:
    names = frozenset(name for part in text.split(",") if (name := part.strip()))
    unknown = sorted(names.difference(INCLUDABLE))
    if unknown:
        raise BadInput(f"include={text!r}: of {', '.join(INCLUDABLE)}, not {', '.join(unknown)}")
    return names
