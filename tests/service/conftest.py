from collections.abc import Callable, Iterator

import pytest
import torch

from models.predictor import Predictor
from service.app import Desk, create_app
from service.bench import Bench
from service.host import Host
from service.intake import Intake
from service.settings import Settings
from tests.service.fakes import Client, FakeRegistry, photo, tiny_predictor


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny images on busy cores: threads would wait for one another longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
def serve(registry: FakeRegistry) -> Iterator[Callable[..., Client]]:
    """Serve the fake registry under some settings."""
    desks: list[Desk] = []

    def start(**settings: int) -> Client:
        chosen = Settings(**settings)
        host = Host(registry, chosen.pinned)
        host.look()
        app = create_app()
        bench = Bench(chosen.max_waiting, chosen.max_pixels)
        app.state.desk = Desk(chosen, host, bench, Intake(chosen.max_in_flight))
        desks.append(app.state.desk)
        return Client(app)

    yield start
    registry.may_load.set()
    for desk in desks:
        desk.host.close()
        desk.bench.close()


@pytest.fixture
def client(serve: Callable[..., Client]) -> Client:
    return serve()
