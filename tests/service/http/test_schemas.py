from typing import get_type_hints

import pytest
from pydantic import ValidationError

from models.prediction.predictor import Answer
from service.http import schemas
from service.http.form import EXPLAIN_FIELDS, FIELDS
from service.scoring.request import ScoreRequest, Unknown, Upload


def test_the_row_that_is_documented_is_the_row_of_the_predictor():
    assert set(schemas.CastingRow.model_fields) == set(get_type_hints(Answer))
    assert set(schemas.UnknownRow.model_fields) == set(get_type_hints(Unknown))


def test_the_forms_that_are_documented_are_the_forms_that_are_read():
    assert FIELDS == ("images", "known", "passes", "seed", "model_version", "include")
    assert EXPLAIN_FIELDS == ("images", "model_version")
    for form, fields in ((schemas.ScoreForm, FIELDS), (schemas.ExplainForm, EXPLAIN_FIELDS)):
        schema = form.model_json_schema()
        assert tuple(schema["properties"]) == fields
        assert schema["additionalProperties"] is False
    assert schemas.ExplainForm.model_json_schema()["required"] == ["images"]
    assert "required" not in schemas.ScoreForm.model_json_schema()  # one of two is


def test_the_defaults_that_are_documented_are_those_of_a_request():
    request = ScoreRequest((Upload("a.png", b""),))
    for name in ("passes", "seed"):
        assert schemas.ScoreForm.model_fields[name].default == getattr(request, name)


def test_a_field_that_is_not_documented_is_not_valid():
    schemas.ErrorBody(error="no", images=[])
    with pytest.raises(ValidationError, match="extra"):
        schemas.ErrorBody(error="no", images=[], stack="trace")
