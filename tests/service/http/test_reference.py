"""The API as people read it, and the example that they copy."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import requests

from tests.service.fakes import photo

SERVICE = Path(__file__).parents[3] / "docs" / "service.md"


def test_it_tells_every_route_with_its_fields_and_answers(client):
    answer = client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for path, methods in client.get("/docs.json").json()["paths"].items():
        for method, operation in methods.items():
            told = answer.text.partition(f"<h2>{method.upper()} {path}</h2>")[2].split("<h2>")[0]
            statuses = re.findall(r"<h3>(\d+)</h3>", told)
            assert statuses == list(operation["responses"]), path
    for field in ("images", "passes", "model_version", "bald_standard_error", "registry"):
        assert f"<code>{field}</code>" in answer.text


def test_it_loads_nothing(client):
    answer = client.get("/docs")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert re.findall(r"<(?:script|link|img|iframe|style)\b|https?://|@import", answer.text) == []
    assert re.findall(r'href="([^"]+)"', answer.text) == ["docs.json"]


def test_it_is_no_part_of_what_programs_call(client):
    assert "/docs" not in client.get("/docs.json").json()["paths"]


def test_the_example_with_requests_prints_what_the_service_answers(
    client, monkeypatch, tmp_path, capsys
):
    (example,) = re.findall(
        r"```python\n(import requests\n.*?)```", SERVICE.read_text(), re.DOTALL
    )

    def send(_: object, sent: requests.PreparedRequest, **__: object) -> requests.Response:
        assert sent.url is not None
        headers = {k: v for k, v in sent.headers.items() if v is not None}
        answer = client.post(urlsplit(sent.url).path, content=sent.body, headers=headers)
        response = requests.Response()
        response.status_code, response._content = answer.status_code, answer.content  # noqa: SLF001
        return response

    monkeypatch.setattr(requests.Session, "send", send)
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpeg", "b.jpeg"):
        Path(name).write_bytes(photo(ord(name[0])))
    exec(example, {})  # noqa: S102 -- our own page
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["a.jpeg", "b.jpeg"]
    row = client.score([photo(ord("a"))]).json()["castings"][0]
    assert lines[0] == f"a.jpeg {row['label']} {json.dumps(row['bald'])}"
