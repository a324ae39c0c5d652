from service.runtime import configure_libraries


def test_libraries_are_quietened_but_what_the_user_set_stands():
    environment = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "99"}
    configure_libraries(environment)
    assert environment["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"
    assert environment["BENTOML_DO_NOT_TRACK"] == "True"
