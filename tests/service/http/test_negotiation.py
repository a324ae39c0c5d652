import pytest

from service.http.negotiation import BINARY, JSON, wants_binary


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/*",
        JSON,
        f"{BINARY};q=0",
        f"{BINARY}; q=0.0",
        f"{BINARY}x",
        ";;,,;=",
    ],
)
def test_json_is_for_who_does_not_name_the_other(accept):
    assert not wants_binary(accept)


@pytest.mark.parametrize(
    "accept",
    [BINARY, "text/html, Application/Octet-Stream;q=0.5", f"{JSON}, {BINARY}; v=0; q=0.1"],
)
def test_safetensors_are_for_who_names_them(accept):
    assert wants_binary(accept)


@pytest.mark.parametrize(("accept", "media_type"), [("*/*", JSON), (BINARY, BINARY)])
def test_the_answer_comes_as_the_client_accepts_it(client, photos, accept, media_type):
    response = client.score(photos[:1], accept=accept, include="embedding")
    assert response.headers["content-type"] == media_type
    assert response.headers["vary"] == "Accept"
