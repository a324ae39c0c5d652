from dataclasses import asdict
from pathlib import Path

import pytest

from jobs.compare.options import PRODUCTION, CompareOptions
from jobs.options import RunOptions
from models.errors import DataError


def parsed(**changes: object) -> CompareOptions:
    base = CompareOptions()
    campaign = {k: v for k, v in asdict(base.campaign).items() if k not in {"strategy", "seed"}}
    own = {k: getattr(base, k) for k in ("strategies", "seeds", "measure", "target", "jobs")}
    return CompareOptions.parse({**own, **campaign, **changes})


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0-3", [0, 1, 2, 3]), ("7", [7]), ("0,3,5-7", [0, 3, 5, 6, 7]), ("2, 1-2,1", [1, 2])],
)
def test_seeds_are_numbers_and_ranges(text: str, seeds: list[int]):
    assert parsed(seeds=text).seed_list() == seeds


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "-1", "1,,2"])
def test_other_seeds_are_refused(text: str):
    with pytest.raises(DataError, match="--seeds"):
        parsed(seeds=text)


def test_the_reference_is_random_or_the_first_named():
    assert parsed(strategies="bald,random").reference == "random"
    assert parsed(strategies="margin,bald").reference == "margin"


def test_strategies_are_named_once():
    for text in ("bald,bald", " , "):
        with pytest.raises(DataError, match="--strategies"):
            parsed(strategies=text)


def test_campaigns_are_named_after_comparison_strategy_and_seed_pairs_together():
    found = parsed(data="/data/tiles/manifest.csv", seeds="0,2").campaigns()
    assert [c.name for c in found] == [
        "compare-tiles-manifest-random-0",
        "compare-tiles-manifest-bald-0",
        "compare-tiles-manifest-random-2",
        "compare-tiles-manifest-bald-2",
    ]
    assert [(c.strategy, c.seed) for c in found[:2]] == [("random", 0), ("bald", 0)]
    assert {c.audit_share for c in found} == {0.0}
    assert parsed(campaign="mine").campaigns()[0].name == "mine-random-0"


def test_every_seed_has_its_own_split_shared_by_its_strategies():
    found = parsed(seeds="0,2").campaigns()
    assert [(c.split, c.seed, c.split_seed) for c in found] == [
        ("by-part", 0, 0),
        ("by-part", 0, 0),
        ("by-part", 2, 2),
        ("by-part", 2, 2),
    ]
    moved = parsed(seeds="0,2", split_seed=5).campaigns()
    assert [c.split_seed for c in moved] == [5, 5, 7, 7]


def test_a_given_split_is_kept_for_all_seeds_only_where_it_is_asked_for():
    found = parsed(seeds="0-2", split="given", split_seed=5).campaigns()
    assert {(c.split, c.split_seed) for c in found} == {("given", 5)}


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("balanced-accuracy", "test/balanced_accuracy"),
        ("auroc", "test/auroc"),
        ("macro_f1", "test/macro_f1"),
        ("labels/defects_found", "labels/defects_found"),
    ],
)
def test_a_measure_without_a_prefix_is_one_of_the_test_side(text: str, metric: str):
    assert parsed(measure=text).measure == metric
    assert parsed(measure=text).digest() == parsed(measure=metric).digest()


def test_models_never_go_where_production_looks():
    assert parsed().campaign.model_name != RunOptions().model_name
    with pytest.raises(DataError, match="is what production serves"):
        parsed(model_name=PRODUCTION)


def test_a_target_is_a_number_or_auto():
    assert parsed(target="0.9").target == "0.9"
    for text in ("high", "nan"):
        with pytest.raises(DataError, match="--target"):
            parsed(target=text)


def test_the_command_leaves_defaults_out_and_can_be_pasted():
    options = parsed(data="my castings", image_size=64)
    assert options.command() == (
        "python -m jobs compare --strategies random,bald --seeds 0-9 --data 'my castings' "
        "--image-size 64"
    )


def test_the_same_comparison_has_one_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    there = parsed(data=str(tmp_path / "d"), jobs=1, service_url="http://x").digest()
    monkeypatch.chdir(tmp_path)
    assert parsed(data="d").digest() == there
    assert parsed(data="d", seeds="0-8").digest() != there
    assert parsed(data="d", campaign="other").digest() != there
