import pytest

from service.http.explain import HEADERS
from service.http.form import EXPLAIN_FIELDS, FIELDS


@pytest.fixture
def document(client):
    return client.get("/docs.json").json()


def test_it_is_openapi_3_of_every_route(document):
    assert document["openapi"].startswith("3.")
    assert set(document["paths"]) == {
        "/score", "/explain", "/model", "/reload", "/metrics", "/livez", "/readyz", "/healthz",
    }  # fmt: skip


def test_every_reference_leads_somewhere(document):
    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                yield from references(child)

    for reference in set(references(document)):
        assert reference.rpartition("/")[2] in document["components"]["schemas"], reference


def test_score_documents_its_form_its_answers_and_its_errors(document):
    operation = document["paths"]["/score"]["post"]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == set(FIELDS)
    assert set(operation["responses"]) == {"200", "400", "401", "404", "408", "413", "415", "503"}
    assert form["properties"]["known"]["items"]["pattern"] == "^[0-9a-f]{64}$"
    content = operation["responses"]["200"]["content"]
    assert set(content) == {"application/json", "application/octet-stream"}
    assert content["application/json"]["schema"]["$ref"].endswith("/ScoreBody")
    for status in ("400", "401", "404", "408", "413", "415", "503"):
        assert "application/json" in operation["responses"][status]["content"]


def test_a_casting_is_documented_as_a_row_or_as_unknown(document):
    schemas = document["components"]["schemas"]
    rows = schemas["ScoreBody"]["properties"]["castings"]["items"]["anyOf"]
    assert [row["$ref"].rpartition("/")[2] for row in rows] == ["CastingRow", "UnknownRow"]
    assert set(schemas["UnknownRow"]["properties"]) == {"casting", "unknown"}


def test_explain_documents_its_form_its_picture_and_its_errors(document):
    operation = document["paths"]["/explain"]["post"]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == set(EXPLAIN_FIELDS)
    assert set(operation["responses"]) == {"200", "400", "401", "404", "408", "413", "415", "503"}
    assert set(operation["responses"]["200"]["content"]) == {"image/png"}
    assert set(operation["responses"]["200"]["headers"]) == set(HEADERS)


@pytest.mark.parametrize(("path", "method"), [("/model", "get"), ("/reload", "post")])
def test_model_and_reload_document_their_errors(document, path, method):
    assert set(document["paths"][path][method]["responses"]) == {"200", "401", "503"}


def test_the_key_is_documented_and_the_probes_need_none(document):
    assert document["components"]["securitySchemes"] == {
        "key": {"type": "http", "scheme": "bearer"}
    }
    for probe in ("/livez", "/readyz", "/healthz"):
        assert document["paths"][probe]["get"]["security"] == [{}]
