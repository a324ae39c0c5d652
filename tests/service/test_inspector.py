"""The third rung: a real `bentoml serve` on a real registry."""

from collections.abc import Iterator

import httpx
import pytest
from mlflow import MlflowClient

from service.http import page
from tests.processes import eventually
from tests.service.real import publish, serving

KEY = "geheim"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory, predictors) -> tuple[str, MlflowClient]:
    """A registry with two versions; `current` is the first."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(uri)
    client.create_experiment("casting-defects", str(folder / "artifacts"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_URI", uri)
        publish(client, predictors)
    return uri, client


@pytest.fixture(scope="module")
def client(store, tmp_path_factory) -> Iterator[httpx.Client]:
    uri, _ = store
    variables = {"MLFLOW_TRACKING_URI": uri, "CASTING_API_KEY": KEY}
    folder, headers = tmp_path_factory.mktemp("served"), {"Authorization": f"Bearer {KEY}"}
    with (
        serving(folder, CASTING_POLL_SECONDS="0.5", **variables) as service,
        httpx.Client(base_url=service.url, headers=headers, timeout=30) as client,
    ):
        yield client


def test_a_real_server_from_its_first_answer_to_a_scrape(store, client, photos):
    """One story, since a server takes ten seconds to start."""
    _, mlflow = store
    files = [("images", (f"{i}.png", data)) for i, data in enumerate(photos)]

    first = client.post("/score", files=files).json()
    assert first["model"]["version"] == "1"
    pinned = client.post("/score", files=files, data={"model_version": "2"}).json()
    assert pinned["castings"] != first["castings"]

    mlflow.set_registered_model_alias("casting-defects", "current", "2")
    assert eventually(lambda: client.get("/model").json()["version"] == "2", 15)
    assert client.post("/score", files=files).json()["castings"] == pinned["castings"]
    mlflow.set_registered_model_alias("casting-defects", "current", "1")
    assert client.post("/reload").json()["version"] == "1"
    assert client.post("/score", files=files).json() == first

    for path in ("/metrics", "/docs.json", "/model", "/schema.json"):
        assert httpx.get(client.base_url.join(path)).status_code == 401, path
    for path in ("/livez", "/readyz", "/healthz", *page.PATHS):
        assert httpx.get(client.base_url.join(path)).status_code == 200, path

    assert client.get("/docs.json").json()["info"]["title"] == "casting-inspector"
    assert client.get("/a/scanner/was/here").status_code == 404
    scraped = client.get("/metrics").text
    assert 'endpoint="/score",http_response_code="200"' in scraped
    assert "scanner" not in scraped
    assert 'endpoint="/page/main.js",http_response_code="200"' in scraped
    assert "casting_model_version 1.0" in scraped
    assert scraped.count("# TYPE casting_castings_scored_total counter") == 1
    assert 'casting_bald_nats_count{version="2"}' in scraped
