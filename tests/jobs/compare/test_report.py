"""A comparison written down."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from jobs.compare.compare import compare
from jobs.compare.report import markdown
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
    assert table["final"][1] - table["final"][0] == pytest.approx(table["difference.mean"][1])
    assert Image.open(io.BytesIO(run_.files["comparison.png"])).format == "PNG"
    text = run_.files["comparison.md"].decode()
    assert text == markdown(compared)
    assert "| `bald` |" in text
    assert "not enough seeds to claim" in text
    assert compared["command"] in text


def test_a_comparison_has_a_row_a_strategy(compared: dict[str, Any]):
    assert compared["claim"] == "not enough seeds to claim: 2 of 10"
    assert compared["labels"] == [10, 15]
    base, bald = compared["strategies"]
    assert (base["strategy"], base["difference"]) == ("random", None)
    assert bald["difference"]["low"] <= bald["difference"]["mean"] <= bald["difference"]["high"]
    assert bald["wins"]["random"] + base["wins"]["bald"] == 2
    assert not bald["supported"]
    json.dumps(compared, allow_nan=False)
