from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.jobs.fakes import FakeContext, write_castings


@pytest.fixture
def castings(tmp_path: Path) -> Path:
    return write_castings(tmp_path / "castings", {"ok": 20, "def": 20})


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeContext]:
    context = FakeContext(tmp_path)
    yield context
    context.ledger.close()


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASTING_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    return CliRunner()
