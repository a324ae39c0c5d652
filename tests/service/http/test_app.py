import asyncio
import hashlib
import json

import pytest
import torch

from models.images import decode
from service.http import app as app_module
from service.http import schemas
from tests.service.fakes import CLASSES, casting, multipart, named, unpack

BINARY = "application/octet-stream"
WIDTH = 3 * (64 + 128 + 256)  # three statistics of the stages of a resnet18


def rows(response):
    assert response.status_code == 200, response.text
    return response.json()["castings"]


def test_score_gives_a_row_a_casting_in_the_order_sent(client, photos):
    response = client.score(photos, passes="20", seed="3")
    body = response.json()
    schemas.ScoreBody.model_validate_json(response.content)
    assert response.headers["content-type"] == "application/json"
    assert body["model"] == {
        "name": "casting-defects",
        "version": "1",
        "run_id": "run-1",
        "classes": list(CLASSES),
    }
    assert (body["passes"], body["seed"]) == (20, 3)
    assert list(body) == ["model", "passes", "seed", "castings"]
    assert [row["casting"] for row in body["castings"]] == [
        hashlib.sha256(data).hexdigest() for data in photos
    ]


def test_the_numbers_are_those_of_the_predictor(client, photos, registry):
    predictor = registry.predictors["1"]
    pixels = torch.stack([decode(data, predictor.preprocessing) for data in photos])
    ids = [casting(data) for data in photos]
    expected = predictor.answers(ids, predictor.score(pixels, passes=20, seed=3))
    assert rows(client.score(photos, passes="20", seed="3")) == json.loads(json.dumps(expected))


def test_a_verdict_does_not_change_with_passes_or_seed(client, photos):
    fixed = ("label", "probabilities", "entropy", "least_confidence", "margin")
    one = rows(client.score(photos, passes="1", seed="1"))
    other = rows(client.score(photos, passes="1000", seed="2"))
    assert [[r[k] for k in fixed] for r in one] == [[r[k] for k in fixed] for r in other]
    assert [r["bald_standard_error"] for r in one] == [None] * len(photos)
    assert one != other


def test_equal_images_are_scored_each(client, photos):
    first, second = rows(client.score([photos[0], photos[0]]))
    assert first == second


def test_included_tensors_come_as_lists(client, photos):
    body = client.score(photos, passes="4", include="posterior,embedding").json()
    schemas.ScoreBody.model_validate(body)
    assert torch.tensor(body["posterior"]).shape == (5, 4, 2)
    assert torch.tensor(body["embedding"]).shape == (5, WIDTH)


def test_included_tensors_come_as_safetensors_to_who_accepts_them(client, photos):
    lists = client.score(photos, passes="4", include="posterior,embedding").json()
    response = client.score(photos, accept=BINARY, passes="4", include="posterior,embedding")
    tensors, body = unpack(response.content)
    assert response.headers["content-type"] == BINARY
    assert {n: (t.dtype, tuple(t.shape)) for n, t in tensors.items()} == {
        "posterior": (torch.float32, (5, 4, 2)),
        "embedding": (torch.float32, (5, WIDTH)),
    }
    assert tensors["posterior"].tolist() == lists["posterior"]
    assert tensors["embedding"].tolist() == lists["embedding"]
    assert body == {k: v for k, v in lists.items() if k not in tensors}
    means = torch.tensor([[r["mc_probabilities"][c] for c in CLASSES] for r in body["castings"]])
    torch.testing.assert_close(tensors["posterior"].mean(dim=1), means)


@pytest.mark.parametrize("include", ["posterior", "embedding", ""])
def test_only_what_is_included_comes(client, photos, include):
    tensors, _ = unpack(client.score(photos, accept=BINARY, include=include).content)
    assert list(tensors) == ([include] if include else [])


def test_unreadable_images_are_listed_together_and_nothing_is_scored(client, photos):
    response = client.score([photos[0], b"", photos[1], photos[2][:60], b"GIF"])
    body = response.json()
    schemas.ErrorBody.model_validate(body)
    assert response.status_code == 400
    assert body["error"] == "3 of 5 images cannot be read"
    assert [(image["index"], image["name"]) for image in body["images"]] == [
        (1, "1.png"),
        (3, "3.png"),
        (4, "4.png"),
    ]
    assert body["images"][0]["reason"] == "empty file"


def test_a_text_part_named_images_is_refused_with_its_place(client):
    body = multipart((named("images"), b"http://127.0.0.1/a.png"))
    response = client.post(
        "/score", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert response.status_code == 400
    assert response.json()["images"][0]["index"] == 0


def test_an_image_of_too_many_pixels_is_refused(serve, photos):
    response = serve(max_pixels=100).score(photos[:1])
    assert response.status_code == 400
    assert "40 x 40 is 1600 pixels, more than the 100 allowed" in response.text


@pytest.mark.parametrize(
    ("settings", "status"), [({"max_images": 2}, 413), ({"max_body_bytes": 500}, 413)]
)
def test_too_large_requests_are_refused(serve, photos, settings, status):
    response = serve(**settings).score(photos)
    assert response.status_code == status
    schemas.ErrorBody.model_validate_json(response.content)


def test_a_body_without_a_length_is_counted_as_it_streams(serve):
    sent = []

    async def endless():
        yield multipart((named("images"), b""), end=False)
        while len(sent) < 1000:
            sent.append(1)
            yield bytes(1000)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = serve(max_body_bytes=5000).post("/score", content=endless(), headers=headers)
    assert response.status_code in (400, 413)
    assert len(sent) < 10


def test_another_version_is_served_beside_the_current_one(client, photos):
    default, pinned = client.score(photos), client.score(photos, model_version="2")
    assert pinned.json()["model"]["version"] == "2"
    assert rows(pinned) != rows(default)
    described = client.get("/model").json()
    assert (described["version"], described["pinned"]) == ("1", ["2"])


@pytest.mark.parametrize("asked", ["9", "0", "99999999999"])
def test_an_unknown_version_is_a_404_that_says_what_is_served(client, photos, asked):
    response = client.score(photos, model_version=asked)
    body = response.json()
    schemas.NoSuchVersionBody.model_validate(body)
    assert response.status_code == 404
    assert (body["served"], body["asked"]) == ("1", asked)


def test_without_a_model_only_pinned_versions_are_scored(serve, registry, photos):
    registry.alias = None
    client = serve()
    refused = client.score(photos)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert client.score(photos, model_version="2").status_code == 200
    described = client.get("/model")
    assert described.status_code == 503
    schemas.NoModelBody.model_validate_json(described.content)


def test_model_describes_what_is_served(client):
    body = client.get("/model").json()
    schemas.ModelBody.model_validate(body)
    assert body | {"since": 0, "precision": 0, "registry": 0} == {
        "name": "casting-defects",
        "version": "1",
        "run_id": "run-1",
        "classes": list(CLASSES),
        "good": "ok_front",
        "threshold": 0.5,
        "temperature": 1.0,
        "preprocessing": {
            "size": 32,
            "channels": 1,
            "mean": [0.45],
            "std": [0.25],
            "bits": 16,
            "least_bits": 0,
            "fit": "stretch",
        },
        "precision": 0,
        "since": 0,
        "pinned": [],
        "registry": 0,
    }
    assert body["registry"]["reachable"] is True


def test_reload_looks_at_the_alias_now(client, registry, photos):
    registry.alias = "2"
    assert client.get("/model").json()["version"] == "1"
    assert client.post("/reload").json()["version"] == "2"
    assert client.score(photos).json()["model"]["version"] == "2"


def test_a_registry_that_goes_down_is_reported_and_scoring_goes_on(client, registry, photos):
    registry.down = ConnectionError("connection refused")
    body = client.post("/reload").json()
    assert body["registry"]["reachable"] is False
    assert body["registry"]["error"] == "connection refused"
    assert client.score(photos).status_code == 200
    refused = client.score(photos, model_version="3")
    assert (refused.status_code, "retry-after" in refused.headers) == (503, True)


def test_a_request_finishes_on_the_version_that_it_began_with(client, registry, photos):
    state = client.app.state.inspector
    score = state.scorer.score

    async def swap_then_score(served, request, *, binary):
        registry.alias = "2"
        state.host.look()
        return await score(served, request, binary=binary)

    before = rows(client.score(photos))
    state.scorer.score = swap_then_score
    response = client.score(photos)
    assert (response.json()["model"]["version"], rows(response)) == ("1", before)
    assert state.host.current().version.number == "2"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/score", 405), ("DELETE", "/model", 405), ("GET", "/nothing", 404)],
)
def test_wrong_routes_are_refused_in_the_same_form(client, method, path, status):
    response = asyncio.run(client.send(method, path))
    assert response.status_code == status
    schemas.ErrorBody.model_validate_json(response.content)


def test_a_body_that_does_not_come_in_time_is_refused(client, monkeypatch):
    monkeypatch.setattr(app_module, "ANSWER_SECONDS", 0.05)

    async def slowly():
        yield b"--x"
        await asyncio.sleep(1)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = client.post("/score", content=slowly(), headers=headers)
    assert response.status_code == 408
    assert "has not come within" in response.json()["error"]


def test_an_answer_that_takes_too_long_is_asked_for_later(client, photos, registry, monkeypatch):
    monkeypatch.setattr(app_module, "ANSWER_SECONDS", 0.05)
    registry.may_load.clear()
    response = client.score(photos, model_version="2")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert "send fewer castings" in response.json()["error"]
