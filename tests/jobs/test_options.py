import subprocess
import sys
from pathlib import Path

import pytest

from jobs.options import RunOptions
from models.errors import CampaignError, DataError


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (RunOptions(), "synthetic-bald-0"),
        (RunOptions(data="/a/castings/", strategy="margin", seed=3), "castings-margin-3"),
        (RunOptions(data="/a/castings/manifest.csv"), "castings-manifest-bald-0"),
        (RunOptions(strategy="mine.module:best"), "synthetic-mine.module.best-0"),
        (RunOptions(campaign="pilot"), "pilot"),
    ],
)
def test_a_campaign_is_named_after_data_strategy_and_seed(options: RunOptions, name: str):
    assert options.name == name


def test_another_option_is_refused_with_old_and_new_value():
    begun = RunOptions(batch=20)
    with pytest.raises(CampaignError, match=r"--batch is 30, it was begun with 20.*--campaign"):
        RunOptions(batch=30).check_same(begun.identity())


def test_rounds_and_service_may_differ_from_call_to_call():
    RunOptions(rounds=9, service_url="http://x").check_same(RunOptions().identity())


def test_options_come_back_from_the_ledger():
    begun = RunOptions(data="/d", batch=7, campaign="c")
    assert RunOptions.recorded("c", begun.identity(), begun.rounds) == begun


def test_an_option_that_came_later_has_its_default_in_a_campaign_begun_before():
    begun = RunOptions(passes=20).identity()
    del begun["cold_start"]
    RunOptions(passes=20).check_same(begun)
    assert RunOptions.recorded("c", begun, 3) == RunOptions(passes=20, rounds=3, campaign="c")
    with pytest.raises(CampaignError, match="--cold-start is typiclust, it was begun with random"):
        RunOptions(passes=20, cold_start="typiclust").check_same(begun)


def test_an_option_that_is_no_more_is_refused_by_name():
    begun = RunOptions().identity() | {"weight_decay": 0.1}
    for use in (RunOptions().check_same, lambda options: RunOptions.recorded("c", options, 3)):
        with pytest.raises(CampaignError, match=r"--weight-decay 0\.1, which .* --campaign NAME"):
            use(begun)


def test_options_are_read_without_loading_torch():
    code = "import sys, jobs.options; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_not_utf8_is_refused_and_classes_are_composed():
    with pytest.raises(DataError, match=r"--data 'Gu\\udcdf'.*not UTF-8"):
        RunOptions(data="Gu\udcdf")
    assert RunOptions(classes="ok, Geha\u0308use").class_list == ("ok", "Geh\u00e4use")


def test_a_training_needs_two_labels():
    with pytest.raises(DataError, match="at least 2"):
        RunOptions(initial=1)


def test_one_folder_is_one_data_set_however_it_is_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    spelt = [RunOptions(data=data) for data in ("a", "a/", "./a", str(tmp_path / "a"))]
    assert len({options.name for options in spelt}) == 1
    for options in spelt:
        options.check_same(spelt[0].identity())


def test_a_name_with_quotes_is_refused():
    with pytest.raises(DataError, match="without quotes"):
        RunOptions(campaign="it's")


@pytest.mark.parametrize("url", ["localhost:3000", "127.0.0.1:3000", "http://host:abc", "http://"])
def test_a_service_that_no_request_can_reach_is_refused(url: str):
    with pytest.raises(DataError, match=r"--service-url .* http://127\.0\.0\.1:3000"):
        RunOptions(service_url=url)


@pytest.mark.parametrize("name", ["a/b", "a:b", "a@b"])
def test_a_model_name_that_the_registry_would_refuse_is_refused_first(name: str):
    with pytest.raises(DataError, match="--model-name"):
        RunOptions(model_name=name)
