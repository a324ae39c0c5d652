import pytest
from mlflow.environment_variables import (
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
    MLFLOW_TRACKING_URI,
)

from jobs.adapters import environment


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*environment._OF_MLFLOW, "CASTING_LEDGER", "MLFLOW_RUN_ID"):  # noqa: SLF001
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
