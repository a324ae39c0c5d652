"""`POST /explain`: one casting in, a picture of its map and the numbers out."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from models.errors import UnreadableImage
from models.evaluation.operating_point import OperatingPoint
from service.http.explain import HEADERS
from tests.service.fakes import CLASSES, photo


def explain(client, *images, **fields):
    files = [("images", ("a.png", data)) for data in images]
    return client.post("/explain", files=files, data=fields)


def test_the_answer_is_a_picture_of_a_size_that_people_can_see(client, photos):
    response = explain(client, photos[0])
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (512, 512))


def test_a_casting_keeps_its_shape(client):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 40), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    with Image.open(io.BytesIO(explain(client, file.getvalue()).content)) as picture:
        assert picture.size == (512, 256)


def test_the_headers_say_what_score_says(client, photos):
    headers = explain(client, photos[1]).headers
    (row,) = client.score([photos[1]]).json()["castings"]
    assert set(HEADERS) <= {name.title() for name in headers}
    assert headers["Casting-Id"] == hashlib.sha256(photos[1]).hexdigest() == row["casting"]
    assert headers["Casting-Model"] == "casting-defects/1"
    assert headers["Casting-Label"] == row["label"]
    assert (headers["Casting-Class"], headers["Casting-Against"]) == CLASSES
    defect = float(headers["Casting-Probability"])
    assert defect == pytest.approx(row["probabilities"]["def_front"], abs=1e-5)
    assert headers["Casting-Map"] == "4x4"  # of 32 pixels, a cell every 8
    x, y = map(float, headers["Casting-Peak"].split(","))
    assert 0 <= x < 1
    assert 0 <= y < 1


def test_names_that_are_no_ascii_are_percent_encoded(registry, client, photos):
    names = replace(
        registry.predictors["1"],
        classes=("Lunker, groß", "好"),
        operating=OperatingPoint("好", 0.0),
    )
    registry.predictors["9"] = names
    headers = explain(client, photos[0], model_version="9").headers
    assert headers["Casting-Label"] == "Lunker%2C%20gro%C3%9F"
    assert headers["Casting-Against"] == "%E5%A5%BD"


def test_another_version_can_be_asked(client, photos):
    assert explain(client, photos[0], model_version="2").headers["Casting-Model"].endswith("/2")


def test_the_same_casting_gives_the_same_bytes(client, photos):
    assert explain(client, photos[0]).content == explain(client, photos[0]).content


@pytest.mark.parametrize(
    ("images", "fields", "status", "error"),
    [
        ([photo(0), photo(1)], {}, 400, "2 images; /explain takes one, /score takes many"),
        ([], {"model_version": "1"}, 400, "no images"),
        ([photo(0)], {"passes": "5"}, 400, "unknown field 'passes'; there are images, model_v"),
        ([photo(0)], {"model_version": "x"}, 400, "model_version='x'"),
        ([photo(0)], {"known": "0" * 64}, 400, "unknown field 'known'; there are images, model_v"),
        ([photo(0)], {"model_version": "77"}, 404, "no version 77"),
        ([b"no image"], {}, 400, "1 of 1 images cannot be read"),
    ],
)
def test_a_refusal_says_what_is_wrong(client, images, fields, status, error):
    files = [("images", ("a.png", data)) for data in images] or {"x": ("", b"")}
    if not images:
        files = [(name, (None, value)) for name, value in fields.items()]
        fields = {}
    response = client.post("/explain", files=files, data=fields)
    assert response.status_code == status
    assert error in response.json()["error"]


def test_other_media_types_and_large_bodies_are_refused_as_by_score(serve, photos):
    client = serve(max_body_bytes=50)
    assert client.post("/explain", json={}).status_code == 415
    assert explain(client, photos[0]).status_code == 413


def test_without_a_model_it_says_when_to_come_again(registry, serve, photos):
    registry.alias = None
    response = explain(serve(), photos[0])
    assert response.status_code == 503
    assert "Retry-After" in response.headers


def test_a_photograph_whose_colours_are_damaged_is_refused_by_name(client, photos, monkeypatch):
    """A grey model reads such a JPEG, the picture for people does not."""

    def damaged(*_):
        raise UnreadableImage("damaged or truncated: broken data stream")

    monkeypatch.setattr("service.http.explain.upright", damaged)
    response = explain(client, photos[0])
    assert response.status_code == 400
    assert response.json()["images"] == [
        {"index": 0, "name": "a.png", "reason": "damaged or truncated: broken data stream"}
    ]
