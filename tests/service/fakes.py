"""A registry that behaves, a client without a socket, and castings to send."""

import asyncio
import hashlib
import io
import json
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from fastapi import FastAPI
from PIL import Image
from safetensors.torch import load

from models.errors import VersionNotFound
from models.evaluation.operating_point import OperatingPoint
from models.network.backbone import Backbone
from models.network.spec import NetworkSpec
from models.network.start import read_start
from models.prediction.predictor import Predictor
from models.registry.version import Version

CLASSES = ("def_front", "ok_front")
OPERATING = OperatingPoint(good="ok_front")
SPEC = NetworkSpec("resnet18", channels=1, classes=2)


def tiny_predictor(seed: int = 0) -> Predictor:
    """A version as it is trained, each seed with a backbone of its own."""
    start = read_start("scratch", SPEC, seed)
    headless = Predictor(start.network(SPEC), start.preprocessing(32), CLASSES, OPERATING)
    return with_head(headless, seed)


def as_loaded(predictor: Predictor) -> Predictor:
    """As it is when it has been read: its network for inference."""
    twin = predictor.network.for_inference()
    return replace(predictor, network=twin)


def with_head(predictor: Predictor, seed: int) -> Predictor:
    """Another version of the same backbone, with a head of its own."""
    head = torch.nn.Linear(predictor.network.head.in_features, len(predictor.classes))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        torch.nn.init.normal_(head.weight, std=0.02, generator=generator)
        torch.nn.init.zeros_(head.bias)
    return replace(predictor, network=predictor.network.with_heads([head]))


@contextmanager
def counting_castings() -> Iterator[list[int]]:
    """How many castings each run of a backbone was given."""
    runs: list[int] = []
    forward = Backbone.forward

    def counted(backbone: Backbone, images: torch.Tensor) -> torch.Tensor:
        runs.append(len(images))
        return forward(backbone, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Backbone, "forward", counted)
        yield runs


def casting(data: bytes) -> str:
    """A casting's id, reckoned here."""
    return hashlib.sha256(data).hexdigest()


def photo(seed: int, size: int = 40) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class FakeRegistry:
    """Versions by number, an alias, and the ways in which a registry can fail."""

    name = "casting-defects"
    changes = True

    def __init__(self, predictors: Mapping[str, Predictor], current: str | None) -> None:
        self.predictors = dict(predictors)
        self.alias = current
        self.down: Exception | None = None
        self.failing: dict[str, Exception] = {}
        self.loads: list[str] = []
        self.runs: dict[str, str] = {}  # of versions that were made again
        self.may_load = threading.Event()
        self.may_load.set()

    def current(self) -> Version:
        self._answer()
        if self.alias is None:
            raise VersionNotFound("casting-defects has no version with the alias current")
        return self._version(self.alias)

    def find(self, number: str) -> Version:
        self._answer()
        if number not in self.predictors:
            raise VersionNotFound(f"casting-defects has no version {number}")
        return self._version(number)

    def load(self, version: Version) -> Predictor:
        self._answer()
        self.loads.append(version.number)
        assert self.may_load.wait(10)
        if version.number in self.failing:
            raise self.failing[version.number]
        return self.predictors[version.number]

    def _answer(self) -> None:
        if self.down is not None:
            raise self.down

    def _version(self, number: str) -> Version:
        return Version(self.name, number, self.runs.get(number, f"run-{number}"), {})


class Client:
    """Calls an ASGI app; one event loop a call."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def get(self, path: str) -> httpx.Response:
        return asyncio.run(self.send("GET", path))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self.send("POST", path, **options))

    def score(self, images: list[bytes], *, accept: str = "*/*", **fields: str) -> httpx.Response:
        return asyncio.run(self.scoring(images, accept=accept, **fields))

    def score_mixed(
        self, parts: list[bytes | str], *, accept: str = "*/*", **fields: str
    ) -> httpx.Response:
        """Images, and in their place hashes of castings that are said to be known, in order."""
        files: list[Any] = [
            ("known", (None, part)) if isinstance(part, str) else ("images", ("a.png", part))
            for part in parts
        ]
        return self.post("/score", files=files, data=fields, headers={"Accept": accept})

    async def scoring(
        self, images: list[bytes], *, accept: str = "*/*", **fields: str
    ) -> httpx.Response:
        files = [("images", (f"{i}.png", data)) for i, data in enumerate(images)]
        return await self.send(
            "POST", "/score", files=files, data=fields, headers={"Accept": accept}
        )

    async def crowd(self, size: int, images: list[bytes]) -> list[httpx.Response]:
        """So many clients at once, all with these images."""
        return await asyncio.gather(*(self.scoring(images) for _ in range(size)))

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)


def multipart(*parts: tuple[str, bytes], boundary: str = "b", end: bool = True) -> bytes:
    """A body by hand: each part its raw headers and its bytes."""
    text = b"".join(
        f"--{boundary}\r\n{headers}\r\n\r\n".encode() + data + b"\r\n" for headers, data in parts
    )
    return text + (f"--{boundary}--\r\n".encode() if end else b"")


def named(name: str, file_name: str | None = None) -> str:
    disposition = f'Content-Disposition: form-data; name="{name}"'
    return disposition if file_name is None else f'{disposition}; filename="{file_name}"'


def unpack(content: bytes) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of a binary answer, and the JSON in its metadata."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    return load(content), json.loads(header["__metadata__"]["json"])


def in_pieces(body: bytes, size: int = 7) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))
