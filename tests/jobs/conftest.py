from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.fakes import FakeContext, write_castings


@pytest.fixture
def castings(tmp_path: Path) -> Path:
    return write_castings(tmp_path / "castings", {"ok": 20, "def": 20})


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeContext]:
    context = FakeContext(tmp_path)
    yield context
    context.ledger.close()
