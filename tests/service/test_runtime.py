import resource

import pytest

from service.runtime import configure_libraries, raise_open_files, workers_asked_for


def test_libraries_are_quietened_but_what_the_user_set_stands():
    environment = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "99"}
    configure_libraries(environment)
    assert environment["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"
    assert environment["BENTOML_DO_NOT_TRACK"] == "True"


@pytest.mark.parametrize(
    ("limits", "raised"),
    [
        ((1024, 4096), (4096, 4096)),
        ((1024, 10**6), (65_536, 10**6)),
        ((1024, resource.RLIM_INFINITY), (65_536, resource.RLIM_INFINITY)),
        ((70_000, 10**6), None),
        ((4096, 4096), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(monkeypatch, limits, raised):
    told = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: told.append(wanted))
    raise_open_files()
    assert told == ([] if raised is None else [raised])


@pytest.mark.parametrize(
    ("line", "workers"),
    [
        ("bentoml serve service.inspector:CastingInspector", 1),
        ("bentoml serve --api-workers 2 service.inspector:CastingInspector", 2),
        ("bentoml serve service.inspector:CastingInspector --api-workers=3", 3),
        ("bentoml serve --api-workers many", 1),
        ("bentoml serve --api-workers 0", 1),
        ("bentoml serve --api-workers", 1),
    ],
)
def test_bentomls_option_for_workers_counts(line, workers):
    assert workers_asked_for(line.split(), {}) == workers


def test_bentomls_variable_for_workers_counts_where_the_option_is_not_given():
    variable = {"BENTOML_API_WORKERS": "2"}
    assert workers_asked_for(["bentoml", "serve"], variable) == 2
    assert workers_asked_for(["bentoml", "serve", "--api-workers", "3"], variable) == 3
