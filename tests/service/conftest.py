from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.prediction.predictor import Predictor
from service.http.app import AppState, open_app
from service.settings import Settings
from tests.service.fakes import Client, FakeRegistry, photo, tiny_predictor


@pytest.fixture(autouse=True)
def tiny_images_on_busy_cores(one_thread: None) -> None:
    """Threads would wait for one another longer than they compute."""


@pytest.fixture(scope="session")
def predictors() -> dict[str, Predictor]:
    return {str(number): tiny_predictor(number) for number in (1, 2, 3, 4)}


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    return [photo(seed) for seed in range(5)]


@pytest.fixture
def registry(predictors: dict[str, Predictor]) -> FakeRegistry:
    return FakeRegistry(predictors, current="1")


@pytest.fixture
def serve(registry: FakeRegistry, tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Serve the fake registry under some settings."""
    states: list[AppState] = []

    def start(**settings: Any) -> Client:
        app = open_app(Settings(**{"embeddings": tmp_path / "embeddings", **settings}), registry)
        app.state.inspector.host.look()
        states.append(app.state.inspector)
        return Client(app)

    yield start
    registry.may_load.set()
    for state in states:
        state.host.close()
        state.scorer.close()


@pytest.fixture
def client(serve: Callable[..., Client]) -> Client:
    return serve()
