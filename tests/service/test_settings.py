import re
from dataclasses import asdict
from pathlib import Path

import pytest

from models.errors import ServiceError
from service.runtime import configure_libraries
from service.settings import Settings


def test_an_empty_environment_gives_the_defaults_of_the_contract():
    settings = Settings.read({"CASTING_API_KEY": " \n", "CASTING_PINNED": ""})
    assert settings == Settings()
    assert (settings.model, settings.pinned) == ("models:/casting-defects@current", 2)
    assert settings.api_key is None


def test_a_packed_version_is_served_unless_the_environment_names_another(tmp_path):
    packed = tmp_path / "version"
    assert Settings.read({}, packed).model == "models:/casting-defects@current"
    packed.mkdir()
    assert Settings.read({}, packed).model == str(packed)
    assert Settings.read({"CASTING_MODEL": "models:/a/7"}, packed).model == "models:/a/7"


def test_every_variable_is_read():
    assert Settings.read(
        {
            "CASTING_MODEL": "models:/other@current",
            "CASTING_PINNED": "0",
            "CASTING_API_KEY": "secret",
            "CASTING_POLL_SECONDS": "0.5",
            "CASTING_MAX_WAITING": "1",
            "CASTING_MAX_IMAGES": "2",
            "CASTING_MAX_BODY_BYTES": "3",
            "CASTING_MAX_IN_FLIGHT_BYTES": "4",
            "CASTING_MAX_PIXELS": "5",
        }
    ) == Settings("models:/other@current", 0, "secret", 0.5, 1, 2, 3, 4, 5)


def test_a_request_of_the_allowed_size_always_fits_when_it_is_alone():
    assert Settings.max_in_flight >= Settings.max_body
    raised = Settings.read({"CASTING_MAX_BODY_BYTES": str(10**9)})
    assert raised.max_in_flight == raised.max_body == 10**9
    with pytest.raises(ServiceError, match=r"^CASTING_MAX_IN_FLIGHT_BYTES=9: .* at least 10,"):
        Settings.read({"CASTING_MAX_BODY_BYTES": "10", "CASTING_MAX_IN_FLIGHT_BYTES": "9"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CASTING_PINNED", "-1"),
        ("CASTING_PINNED", "two"),
        ("CASTING_MAX_IMAGES", "0"),
        ("CASTING_POLL_SECONDS", "0"),
        ("CASTING_POLL_SECONDS", "nan"),
        ("CASTING_POLL_SECONDS", "inf"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_its_variable(name, value):
    with pytest.raises(ServiceError, match=f"^{name}={value}: a .*number"):
        Settings.read({name: value})


def test_the_limits_in_the_security_policy_are_the_defaults():
    policy = (Path(__file__).parents[2] / "SECURITY.md").read_text()
    limits = dict(re.findall(r"\| `(CASTING_MAX_\w+)` \| (\d+) \|", policy))
    assert len(limits) == 5
    assert Settings.read(limits) == Settings()
    one_more = {name: str(int(number) + 1) for name, number in limits.items()}
    changed = Settings.read(one_more)
    same = [name for name, was in asdict(Settings()).items() if getattr(changed, name) == was]
    assert same == ["model", "pinned", "api_key", "poll_seconds"]


def test_the_key_is_not_in_the_representation():
    assert "secret" not in repr(Settings(api_key="secret"))


def test_libraries_are_quietened_but_what_the_user_set_stands():
    environment = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "99"}
    configure_libraries(environment)
    assert environment["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"
    assert environment["BENTOML_DO_NOT_TRACK"] == "True"
