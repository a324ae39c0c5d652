from pathlib import Path

import pytest
from mlflow.environment_variables import (
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
    MLFLOW_TRACKING_URI,
)

from jobs.adapters import environment
from models.errors import CampaignError, CastingError, ServiceError
from service.settings import Settings


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ("CASTING_LEDGER", "CASTING_API_KEY", "MLFLOW_RUN_ID")
    for name in (*environment._OF_MLFLOW, *ours):  # noqa: SLF001
        monkeypatch.setenv(name, "")  # so that it is taken back at the end
        monkeypatch.delenv(name)


def test_without_variables_all_is_in_the_working_directory(monkeypatch: pytest.MonkeyPatch):
    environment.prepare_mlflow()
    assert MLFLOW_TRACKING_URI.get() == "sqlite:///mlflow.db"
    assert environment.ledger_url() == "sqlite:///ledger.db"
    assert environment.handed_run() is None


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking")
    monkeypatch.setenv("CASTING_LEDGER", "postgresql+psycopg://ledger")
    environment.prepare_mlflow()
    assert MLFLOW_TRACKING_URI.get() == "http://tracking"
    assert environment.ledger_url() == "postgresql+psycopg://ledger"


def test_mlflow_keeps_off_the_stdout_that_the_json_goes_to():
    environment.prepare_mlflow()  # it would print links where the tracking server speaks HTTP
    assert MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://user:geheim@host:notaport/ledger", "no port from 1 to 65535"),
        ("postgresql+psycopg://user:geheim@host:0/ledger", "no port from 1 to 65535"),
        ("postgresql+psycopg://user:geheim@host:99999/ledger", "no port from 1 to 65535"),
        ("postgresql+psycopg://user:@geheim:geheim@host/ledger", "in a password write @ as %40"),
        ("nonsense", "no address of a database"),
        ("ledger.db", "no address of a database"),
    ],
)
def test_a_ledger_that_has_no_address_is_refused_without_telling_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str, told: str
):
    monkeypatch.setenv("CASTING_LEDGER", url)
    with pytest.raises(CampaignError, match=told) as refusal:
        environment.ledger_url()
    assert "geheim" not in str(refusal.value)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CASTING_LEDGER", " ")
    assert environment.ledger_url() == "sqlite:///ledger.db"


KEYS = [
    "secret", "secret\n", " \t secret\r\n", "", " \n", "two words", "Schlüssel", "鍵🔑",
    "\u00a0secret\u2003", "a=b;c,d\"e'", "Bearer secret",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_job_and_service_read_the_same_key(monkeypatch: pytest.MonkeyPatch, key: str):
    monkeypatch.setenv("CASTING_API_KEY", key)
    assert environment.api_key() == Settings.read().api_key == (key.strip() or None)


@pytest.mark.parametrize("key", ["geheim\ngeheim", "geheim\tgeheim", "ge\x7fheim", "ge\udcdfheim"])
def test_a_key_that_no_header_carries_is_refused_by_job_and_service(
    monkeypatch: pytest.MonkeyPatch, key: str
):
    monkeypatch.setenv("CASTING_API_KEY", key)
    for read in (environment.api_key, Settings.read):
        with pytest.raises(ServiceError, match=r"CASTING_API_KEY: text without line b") as refusal:
            read()
        assert "heim" not in str(refusal.value)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `mlflow run https://…/project.git#folder` works."""
    folder = tmp_path / "temporary" / "tmp1a_b2c3d" / "folder"
    folder.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_RUN_ID", "r1")
    return folder


def test_in_a_clone_of_mlflows_the_ledger_is_beside_the_tracking_store(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/home/mlflow.db")
    assert environment.ledger_url() == f"sqlite:///{tmp_path}/home/ledger.db"
    assert environment.embeddings_folder() == tmp_path / "home" / "embeddings"


@pytest.mark.parametrize("tracking", ["http://mlflow:5000", "", "sqlite:///mlflow.db"])
def test_in_a_clone_of_mlflows_a_ledger_that_would_be_lost_is_refused(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tracking: str
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    with pytest.raises(CastingError, match=r"temporary clone.*Set CASTING_LEDGER"):
        environment.ledger_url()
    monkeypatch.setenv("CASTING_LEDGER", "sqlite:////home/me/ledger.db")
    assert environment.ledger_url() == "sqlite:////home/me/ledger.db"


def test_a_project_of_this_machine_keeps_its_ledger_where_it_is(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)  # `mlflow run .`, in a folder for temporary files too
    assert environment.ledger_url() == "sqlite:///ledger.db"
    monkeypatch.chdir(clone)
    monkeypatch.delenv("MLFLOW_RUN_ID")  # nobody but a person works there
    assert environment.ledger_url() == "sqlite:///ledger.db"
