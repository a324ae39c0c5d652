import pytest

from models.errors import VersionError


@pytest.fixture
def counted(client):
    """A series of the worker's own counters, None where there is none yet."""
    registry = client.app.state.inspector.counters.registry
    return lambda name, **labels: registry.get_sample_value(name, labels)


def test_castings_are_counted_by_version_and_verdict(client, counted, photos):
    rows = client.score(photos).json()["castings"]
    rows += client.score(photos[:2], model_version="2").json()["castings"]
    first, label = rows[: len(photos)], rows[0]["label"]
    alike = sum(row["label"] == label for row in first)
    assert counted("casting_castings_scored_total", version="1", label=label) == alike
    bald = sum(row["bald"] for row in first)
    assert counted("casting_bald_nats_sum", version="1") == pytest.approx(bald)
    assert counted("casting_bald_nats_count", version="2") == 2


def test_minibatches_and_stages_are_counted(client, counted, photos):
    client.score(photos)
    assert counted("casting_minibatch_castings_sum") == len(photos)
    for stage in ("decode", "backbone", "answer"):
        assert counted("casting_stage_seconds_count", stage=stage) == 1


def test_refusals_are_counted_by_reason(client, counted, photos):
    client.score([b"no image"])
    client.score(photos, model_version="99")
    assert counted("casting_requests_refused_total", reason="BadInput") == 1
    assert counted("casting_requests_refused_total", reason="NoSuchVersion") == 1


def test_swaps_and_refused_versions_are_counted(client, counted, registry):
    registry.alias = "2"
    client.post("/reload")
    registry.alias = "3"
    registry.failing["3"] = VersionError("its passes do not differ")
    client.post("/reload")
    assert counted("casting_model_swaps_total") == 2  # the first model is one
    assert counted("casting_versions_refused_total") == 1
