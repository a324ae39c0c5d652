"""Campaigns of these tests stand on a backbone that sees little, and quickly."""

import pytest

from tests.jobs.tiny import see_little


@pytest.fixture(autouse=True)
def quick_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    see_little(monkeypatch)
