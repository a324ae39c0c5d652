import pytest
from prometheus_client import generate_latest

from models.errors import VersionError


@pytest.fixture
def gauges(client):
    """The series without labels, by name."""

    def scrape():
        lines = client.get("/metrics").text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs if "{" not in name}

    return scrape


def test_what_is_counted_is_scraped_once(client, photos):
    client.score(photos)
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    counted = generate_latest(client.app.state.inspector.counters.registry).decode()
    for line in counted.splitlines():
        if line.startswith("# TYPE"):
            assert response.text.count(line) == 1, line


def test_the_state_of_the_model_is_scraped(client, gauges, registry, photos):
    client.score(photos, model_version="3")
    registry.alias = "2"
    client.post("/reload")
    scraped = gauges()
    assert scraped["casting_model_served"] == 1
    assert scraped["casting_model_version"] == 2
    assert scraped["casting_models_pinned"] == 1
    assert scraped["casting_registry_reachable"] == 1
    assert scraped["casting_registry_refusal"] == 0
    assert scraped["casting_requests_waiting"] == 0


def test_a_version_that_is_refused_shows_and_so_does_a_registry_that_is_away(
    client, gauges, registry
):
    registry.alias = "2"
    registry.failing["2"] = VersionError("damaged")
    client.post("/reload")
    scraped = gauges()
    assert (scraped["casting_model_version"], scraped["casting_registry_refusal"]) == (1, 1)
    registry.down = ConnectionError("refused")
    client.post("/reload")
    assert gauges()["casting_registry_reachable"] == 0


def test_without_a_model_the_state_says_so(serve, registry):
    registry.alias = None
    scraped = serve().get("/metrics").text
    assert "\ncasting_model_served 0.0\n" in scraped
    assert "\ncasting_model_version 0.0\n" in scraped
