from pathlib import Path

import pytest

from models.embeddings import EmbeddingStore


@pytest.fixture
def embeddings(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "embeddings")


@pytest.fixture
def forgetful(tmp_path: Path) -> EmbeddingStore:
    """A store that cannot keep anything."""
    (tmp_path / "file").touch()
    return EmbeddingStore(tmp_path / "file" / "embeddings")
