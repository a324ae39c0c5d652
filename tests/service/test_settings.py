import re
from pathlib import Path

import pytest

from models.errors import ServiceError
from service import settings
from service.settings import Settings


@pytest.fixture(autouse=True)
def read(monkeypatch):
    """Reads the settings of an environment that holds these variables."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CASTING_{name.upper()}", raising=False)

    def read(**variables):
        with monkeypatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            return Settings.read()

    return read


def test_an_empty_environment_gives_the_defaults_of_the_contract(read):
    empty = read(CASTING_API_KEY=" \n", CASTING_PINNED="", CASTING_MODEL="")
    assert empty == Settings()
    assert (empty.model, empty.pinned) == ("models:/casting-defects@current", 2)
    assert empty.api_key is None


def test_a_packed_version_is_served_unless_the_environment_names_another(
    read, tmp_path, monkeypatch
):
    packed = tmp_path / "version"
    monkeypatch.setattr(settings, "PACKED", packed)
    assert read().model == "models:/casting-defects@current"
    packed.mkdir()
    assert read().model == str(packed)
    assert read(CASTING_MODEL="models:/a/7").model == "models:/a/7"


def test_every_variable_is_read(read):
    assert read(
        CASTING_MODEL="models:/other@current",
        CASTING_PINNED="0",
        CASTING_API_KEY=" secret\n",
        CASTING_POLL_SECONDS="0.5",
        CASTING_MAX_WAITING="1",
        CASTING_MAX_IMAGES="2",
        CASTING_MAX_BODY_BYTES="3",
        CASTING_MAX_IN_FLIGHT_BYTES="4",
        CASTING_MAX_PIXELS="5",
        CASTING_MAX_REQUEST_PIXELS="7",
        CASTING_EMBEDDINGS="/var/lib/castings",
        CASTING_EMBEDDINGS_BYTES="6",
    ).model_dump() == {
        "model": "models:/other@current",
        "pinned": 0,
        "api_key": "secret",
        "poll_seconds": 0.5,
        "max_waiting": 1,
        "max_images": 2,
        "max_body_bytes": 3,
        "max_in_flight_bytes": 4,
        "max_pixels": 5,
        "max_request_pixels": 7,
        "embeddings": Path("/var/lib/castings"),
        "embeddings_bytes": 6,
    }


def test_embeddings_are_kept_in_a_folder_here_up_to_four_gibibytes_unless_told_otherwise(read):
    empty = read(CASTING_EMBEDDINGS="", CASTING_EMBEDDINGS_BYTES="")
    assert empty.embeddings == Path("embeddings")
    assert empty.embeddings_bytes == 4 * 2**30


def test_a_request_of_the_allowed_size_always_fits_when_it_is_alone(read):
    assert read().max_in_flight_bytes >= read().max_body_bytes
    raised = read(CASTING_MAX_BODY_BYTES=str(10**9))
    assert raised.max_in_flight_bytes == raised.max_body_bytes == 10**9
    with pytest.raises(ServiceError) as error:
        read(CASTING_MAX_BODY_BYTES="10", CASTING_MAX_IN_FLIGHT_BYTES="9")
    needed = "a whole number, at least 10, is needed"
    assert str(error.value) == f"CASTING_MAX_IN_FLIGHT_BYTES=9: {needed}"


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("CASTING_PINNED", "-1", "a whole number, at least 0,"),
        ("CASTING_PINNED", "two", "a whole number, at least 0,"),
        ("CASTING_MAX_IMAGES", "0", "a whole number, at least 1,"),
        ("CASTING_EMBEDDINGS_BYTES", "0", "a whole number, at least 1,"),
        ("CASTING_EMBEDDINGS_BYTES", "4GiB", "a whole number, at least 1,"),
        ("CASTING_MAX_BODY_BYTES", "1.5", "a whole number, at least 1,"),
        ("CASTING_MAX_IN_FLIGHT_BYTES", "x", "a whole number, at least 1,"),
        ("CASTING_POLL_SECONDS", "0", "a number of seconds above 0"),
        ("CASTING_POLL_SECONDS", "nan", "a number of seconds above 0"),
        ("CASTING_POLL_SECONDS", "inf", "a number of seconds above 0"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_its_variable(read, name, value, needed):
    with pytest.raises(ServiceError) as error:
        read(**{name: value})
    assert str(error.value) == f"{name}={value}: {needed} is needed"


def test_the_limits_in_the_security_policy_are_the_defaults(read):
    policy = (Path(__file__).parents[2] / "SECURITY.md").read_text()
    limits = dict(re.findall(r"\| `(CASTING_MAX_\w+)` \| (\d+) \|", policy))
    assert len(limits) == 6
    assert read(**limits) == Settings()
    one_more = {name: str(int(number) + 1) for name, number in limits.items()}
    changed = read(**one_more).model_dump()
    same = [name for name, value in Settings().model_dump().items() if changed[name] == value]
    assert [name for name in same if name.startswith("max_")] == []


def test_the_key_is_not_in_the_representation():
    assert "secret" not in repr(Settings(api_key="secret"))
