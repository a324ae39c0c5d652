"""Requests that schemathesis makes of the OpenAPI document, and the checks on their answers."""

from collections import Counter
from typing import Any

import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.service.fakes import photo

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

schemathesis.openapi.format("binary", st.sampled_from([photo(0), photo(1), photo(0)[:60], b""]))


def answers(operation: APIOperation, mode: GenerationMode, **options: Any) -> Counter[int]:
    """How often each status came, of requests that fit the document or do not; all are checked."""
    counted: Counter[int] = Counter()

    @settings(max_examples=50, derandomize=True, deadline=None, database=None)
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        counted[case.call_and_validate(checks=CHECKS, **options).status_code] += 1

    ask()
    return counted
