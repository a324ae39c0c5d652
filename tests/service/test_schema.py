import pytest
import schemathesis
from schemathesis import GenerationMode

from tests.service.schema import answers


@pytest.fixture
def document(client):
    return schemathesis.openapi.from_asgi("/docs.json", client.app)


def test_requests_that_fit_the_document_are_answered_as_it_says(document):
    for method, path in (("post", "/score"), ("get", "/model"), ("post", "/reload")):
        assert answers(document[path][method], GenerationMode.POSITIVE)[200], path


def test_requests_that_do_not_fit_the_document_are_refused_as_it_says(document):
    """Nearly all: what does not fit as an object may fit once it is written as a form."""
    counted = answers(document["/score"]["post"], GenerationMode.NEGATIVE)
    assert counted[400] > 10 * counted[200]
