"""A comparison written down."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from jobs.compare.compare import compare
from jobs.compare.table import markdown
from tests.jobs.comparisons import in_process, logged, small_comparison
from tests.jobs.fakes import FakeContext


@pytest.fixture
def compared(fake: FakeContext, castings: Path) -> dict[str, Any]:
    return compare(fake.open(), small_comparison(castings), in_process(fake, []))


def test_its_run_holds_table_rounds_and_figure(fake: FakeContext, compared: dict[str, Any]):
    run_ = logged(fake, compared)
    assert run_.status == "FINISHED"
    assert run_.tags["comparison"] == "compare-castings"
    assert (run_.params["seeds"], run_.params["audit_share"]) == ("0-1", "0.0")
    assert json.loads(run_.files["comparison.json"]) == compared
    rounds = pd.read_csv(io.BytesIO(run_.files["rounds.csv"]))
    assert len(rounds) == 2 * 2 * 2
    assert {"strategy", "seed", "round", "labels", "test/accuracy"} <= set(rounds)
    table = pd.read_csv(io.BytesIO(run_.files["comparison.csv"]))
    assert list(table["strategy"]) == ["random", "bald"]
    assert table["curve"][1] - table["curve"][0] == pytest.approx(table["difference.mean"][1])
    assert Image.open(io.BytesIO(run_.files["comparison.png"])).format == "PNG"
    assert run_.files["comparison.md"].decode() == markdown(compared)


def test_a_comparison_has_a_row_a_strategy(compared: dict[str, Any]):
    assert compared["claim"] == "not enough seeds to claim: 2 of 10"
    assert compared["labels"] == [10, 15]
    base, bald = compared["strategies"]
    assert (base["strategy"], base["difference"]) == ("random", None)
    assert bald["difference"]["low"] <= bald["difference"]["mean"] <= bald["difference"]["high"]
    assert bald["wins"]["random"] + base["wins"]["bald"] == 2
    assert not bald["supported"]
    json.dumps(compared, allow_nan=False)


def test_it_says_what_the_constant_classifier_has(compared: dict[str, Any]):
    assert compared["measure"] == "test/balanced_accuracy"
    assert compared["constant_classifier"] == {"curve": 0.5, "final": 0.5, "accuracy": 0.75}
    assert all(0.5 <= row["accuracy"] <= 1 for row in compared["strategies"])


def test_a_measure_that_no_classifier_is_judged_by_has_no_constant(
    fake: FakeContext, castings: Path
):
    options = small_comparison(castings, measure="labels/defects_found")
    found = compare(fake.open(), options, in_process(fake, []))["constant_classifier"]
    assert found == {"curve": None, "final": None, "accuracy": 0.75}


def test_it_says_what_random_needs_for_what_the_best_has(compared: dict[str, Any]):
    bald = compared["strategies"][1]
    (point,) = compared["reference_needs"]  # of two trainings the second
    assert (point["strategy"], point["labels"], point["value"]) == ("bald", 15, bald["final"])
    assert point["needs"] is None or 10 <= point["needs"] <= 15
