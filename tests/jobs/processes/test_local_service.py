import httpx
import pytest

from jobs.processes.local_service import local_service
from models.errors import ServiceError


@pytest.mark.slow
def test_a_service_that_cannot_start_is_an_error_with_its_log(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("CASTING_PINNED", "not a number")
    monkeypatch.setattr(local_service, "STARTUP", 30.0)
    with (
        pytest.raises(ServiceError, match=r"(?s)(at its start|did not come up).*CASTING_PINNED"),
        local_service("casting-defects") as url,
    ):
        httpx.get(url)
