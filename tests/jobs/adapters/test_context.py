from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from jobs.adapters import context
from jobs.adapters.context import real_context
from jobs.options import RunOptions
from models.errors import CampaignError


@pytest.fixture
def ledger(tracking_store: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CASTING_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setattr(context.environment, "prepare_mlflow", lambda: None)  # it would last
    return tmp_path / "ledger.db"


def test_ledger_and_tracker_are_those_that_the_environment_names(
    ledger: Path, tracking_store: MlflowClient
):
    with real_context() as opened:
        assert opened.ledger.campaigns() == []
        run_id = opened.tracker.open_campaign("a", None, {}, {"begun": "now"})
    assert ledger.exists()
    assert tracking_store.get_run(run_id).data.tags["begun"] == "now"


def test_one_service_is_started_when_it_is_first_asked_for_and_stopped_at_the_end(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    told: list[str] = []

    @contextmanager
    def local_service(model_name: str, _: object) -> Iterator[SimpleNamespace]:
        told.append(f"{model_name} started")
        yield SimpleNamespace(url="http://127.0.0.1:9", revive=lambda: None, log=Path("log"))
        told.append("stopped")

    monkeypatch.setattr("jobs.processes.local_service.local_service", local_service)
    with real_context() as opened:
        assert told == []
        first = opened.scoring_service(RunOptions(model_name="m"))
        assert opened.scoring_service(RunOptions(model_name="m")) is first
        assert opened.scoring_service(RunOptions(service_url="http://elsewhere")) is not first
        assert told == ["m started"]
    assert told == ["m started", "stopped"]
    assert capsys.readouterr().err == "starting a scoring service\n"


@pytest.mark.parametrize("url", ["nodialect://host/ledger", "mysql+nodriver://host/ledger"])
def test_a_ledger_that_no_driver_opens_is_refused_with_the_way_out(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, url: str
):
    monkeypatch.setenv("CASTING_LEDGER", url)
    with (
        pytest.raises(CampaignError, match=r"CASTING_LEDGER: no driver .* sqlite:///ledger\.db"),
        real_context(),
    ):
        pass
