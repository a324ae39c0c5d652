"""A real server before hostile clients: what it answers, writes, counts and logs."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
import torch
from schemathesis import GenerationMode

from models.embeddings import FILE
from models.registry import version_folder
from tests.processes import eventually
from tests.service.corpus import CASES, try_out
from tests.service.pictures import GREY, image
from tests.service.real import ROOT, Served, serving
from tests.service.schema import answers

KEY, WRONG_KEY, PASSWORD = "geheim-key", "falsch-key", "geheim-word"
PATHS = ["/..%2f..%2fetc/passwd", "//score", "/%00", "/" + "x" * 2000, "/.git/config"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(predictors, tmp_path_factory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("hostile")
    golden = torch.randint(0, 256, (4, 1, 32, 32), dtype=torch.uint8)
    version_folder.write(predictors["1"], golden, folder / "version")
    variables = {"CASTING_MODEL": str(folder / "version"), "CASTING_API_KEY": KEY}
    with serving(folder, **variables) as service:
        yield service


@pytest.fixture(scope="module")
def client(served) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=served.url, headers=headers, timeout=60) as client:
        client.post("/score", files=[("images", ("a.png", image(GREY)))]).raise_for_status()
        yield client


def everything_in(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*")}


def test_the_corpus_is_answered_right_and_nothing_of_it_is_written_but_embeddings(served, client):
    places = [served.log.parent, *(ROOT / name for name in ("models", "service", "docs"))]
    before = everything_in(*places)
    wrong = {name: try_out(case, client.post)[1] for name, case in CASES.items()}
    assert {name: what for name, what in wrong.items() if what} == {}
    assert everything_in(*places) == before
    kept = list((served.log.parent / "embeddings").iterdir())
    assert FILE in {path.name for path in kept}
    assert all(path.name.startswith(FILE) for path in kept)
    written = b"".join(path.read_bytes() for path in kept)
    assert [word for word in (b"passwd", b"script", b"PNG", b"JFIF") if word in written] == []
    lines = served.log.read_text().splitlines()
    others = "".join(line for line in lines if not line.startswith("{"))  # ours: one a request
    assert [word for word in ("Warning", "boundary character") if word in others] == []


def test_unknown_paths_and_methods_are_refused_and_make_one_series_in_all(served, client):
    for path in PATHS:
        assert client.get(served.url + path).status_code == 404, path
    for method in ("PUT", "DELETE", "PATCH", "BREW"):
        assert client.request(method, "/score").status_code == 405, method
    endpoints = re.findall(r'endpoint="([^"]*)"', client.get("/metrics").text)
    assert set(endpoints) <= {"/score", "/metrics", "/livez", "unmatched"}


def test_schemathesis_finds_nothing_on_any_route(served, client):
    key = {"Authorization": f"Bearer {KEY}"}
    document = schemathesis.openapi.from_url(f"{served.url}/docs.json", headers=key)
    operations = [result.ok() for result in document.get_all_operations()]
    assert {operation.path for operation in operations} == set(document.raw_schema["paths"])
    for operation in operations:
        assert answers(operation, GenerationMode.POSITIVE, headers=key)[200], operation.label
    score = document["/score"]["post"]
    assert answers(score, GenerationMode.NEGATIVE, headers=key)[400]


def test_neither_key_nor_header_is_in_what_a_server_says_at_debug_level(served, client):
    headers = {"Authorization": f"Bearer {WRONG_KEY}"}
    assert client.get("/model", headers=headers).status_code == 401
    told = [client.get(path).text for path in ("/model", "/metrics", "/docs.json")]
    said = served.log.read_text()
    assert "DEBUG" in said
    assert [key for key in (KEY, WRONG_KEY) if key in said + "".join(told)] == []


def test_a_password_in_the_tracking_uri_is_neither_logged_nor_answered(tmp_path):
    uri = f"http://bob:{PASSWORD}@127.0.0.1:9"
    with serving(tmp_path, MLFLOW_TRACKING_URI=uri, MLFLOW_LOGGING_LEVEL="DEBUG") as service:
        files = [("images", ("a.png", image(GREY)))]
        fields = {"model_version": "7"}
        assert eventually(lambda: "the registry is away" in service.log.read_text())
        told = [
            httpx.get(f"{service.url}/model", timeout=60),
            httpx.post(f"{service.url}/reload", timeout=60),
            httpx.post(f"{service.url}/score", files=files, timeout=60),
            httpx.post(f"{service.url}/score", files=files, data=fields, timeout=60),
        ]
    assert [answer.status_code for answer in told] == [503] * 4
    assert "***@127.0.0.1:9" in told[0].text
    assert PASSWORD not in service.log.read_text() + "".join(answer.text for answer in told)
