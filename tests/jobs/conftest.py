from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.fakes import FakeWorld, write_castings


@pytest.fixture
def castings(tmp_path: Path) -> Path:
    return write_castings(tmp_path / "castings", {"ok": 20, "def": 20})


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeWorld]:
    world = FakeWorld(tmp_path)
    yield world
    world.ledger.close()
