"""The table, how its names and a user's own are found, and what every strategy keeps to."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.acquisition.candidates import Candidates
from models.acquisition.selection import choose_batch
from models.acquisition.strategies.bald import bald
from models.acquisition.strategies.table import STRATEGIES, find_strategy
from models.acquisition.strategy import needs_of
from models.acquisition.strategy_checks import CHECKS, random_candidates
from models.errors import DataError
from tests.models.acquisition.pools import indices, seeded

quick = settings(max_examples=25, deadline=None)
every_but_vaal = pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "vaal"])


# --- the check-suite: every name of the table ---------------------------------------------------


@pytest.mark.parametrize("name", [*STRATEGIES, "diverse-bald", "diverse-random"])
@pytest.mark.parametrize("check", CHECKS)
def test_every_strategy_passes(name, check):
    assert CHECKS[check](find_strategy(name)) == ""


@every_but_vaal
@quick
@given(st.integers(1, 12), st.data())
def test_returns_as_many_distinct_indices_as_asked_for(name, count, data):
    size = data.draw(st.integers(1, count))
    chosen = indices(find_strategy(name)(random_candidates(count, seed=count), size, seeded()))
    assert len(chosen) == len(set(chosen)) == size
    assert set(chosen) <= set(range(count))


@every_but_vaal
@quick
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_permuting_the_castings_changes_nothing_in_the_batch(name, seed, random):
    ids = [f"{i:02d}" for i in range(14)]
    parts = [f"part-{i % 5}" for i in range(14)]
    candidates = random_candidates(14, seed=seed)
    shuffled = random.sample(range(14), 14)

    def batch(found_in_order):
        shown = candidates.rows(found_in_order)
        generator = seeded(found_in_order[0])
        rounding = 1e-11 * torch.rand(14, 1, 1, generator=generator, dtype=torch.float64)
        by_id = sorted(range(14), key=lambda row: ids[found_in_order[row]])
        # in another order and chunking the numbers are the same but for rounding
        near = replace(
            shown,
            probs_N_K_C=shown.probs_N_K_C * (1 + rounding),
            deterministic_N_C=shown.deterministic_N_C * (1 + rounding[:, 0]),
        )
        chosen = choose_batch(find_strategy(name), near.rows(by_id), parts, 8, seeded(seed))
        return [ids[i] for i in chosen]

    assert batch(shuffled) == batch(list(range(14)))


@every_but_vaal
@quick
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), st.data())
def test_takes_one_casting_per_part_while_parts_remain(name, parts, data):
    size = data.draw(st.integers(1, len(parts)))
    candidates = random_candidates(len(parts), seed=len(parts))
    chosen = choose_batch(find_strategy(name), candidates, parts, size, seeded())
    assert len(chosen) == len(set(chosen)) == size
    first = [parts[i] for i in chosen[: len(set(parts))]]
    assert len(set(first)) == len(first)


@every_but_vaal
def test_a_pool_smaller_than_the_batch_is_taken_whole(name):
    candidates = random_candidates(4)
    chosen = choose_batch(find_strategy(name), candidates, list("aabc"), 9, seeded())
    assert sorted(chosen) == [0, 1, 2, 3]


def test_an_empty_pool_gives_an_empty_batch():
    for name in STRATEGIES:
        assert choose_batch(find_strategy(name), Candidates(0), [], 3, seeded()) == []


# --- names of the table -------------------------------------------------------------------------


def test_the_table_has_the_names_of_the_interface():
    assert {"random", "least-confidence", "margin", "entropy"} <= set(STRATEGIES)
    assert {"dbal", "bald", "variation-ratio", "power-bald"} <= set(STRATEGIES)
    assert {"ensemble", "epig", "batchbald", "badge", "coreset"} <= set(STRATEGIES)
    assert {"typiclust", "probcover", "vaal", "novelty"} <= set(STRATEGIES)
    assert {"maxherding", "uherding", "dropquery", "clue"} <= set(STRATEGIES)


def test_a_name_of_the_table_is_found():
    assert find_strategy("bald") is bald


def test_the_table_is_read_without_torch_or_any_strategy():
    code = (
        "import sys; import models.acquisition.strategies.table; "
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'numpy', 'sklearn') "
        "or m.startswith('models.acquisition.strategies.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['models.acquisition.strategies.table']"


@pytest.mark.parametrize("name", ["blad", "diverse-blad"])
def test_an_unknown_name_is_refused_with_the_nearest_and_the_list(name):
    with pytest.raises(DataError, match=r"no strategy 'blad' \(did you mean bald\?\)") as refused:
        find_strategy(name)
    assert all(name in str(refused.value) for name in STRATEGIES)
    assert "package.module:function" in str(refused.value)


def test_a_name_that_is_like_none_is_refused_without_a_guess():
    with pytest.raises(DataError, match="no strategy 'xyzzy'; there are random, "):
        find_strategy("xyzzy")


# --- strategies of the user's own ---------------------------------------------------------------


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "my_own_strategies.py").write_text(
        "def last(candidates, size, generator):\n"
        "    return range(len(candidates) - size, len(candidates))\n"
        "last.needs = ('parts_N',)\n"
        "def greedy(candidates, size, generator):\n"
        "    return []\n"
        "greedy.needs = ('hidden_labels',)\n"
        "NUMBER = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("own_module")
def test_a_strategy_of_the_users_own_is_found_by_module_and_function():
    strategy = find_strategy("my_own_strategies:last")
    assert needs_of(strategy) == ("parts_N",)
    assert choose_batch(strategy, Candidates(4), list("abcd"), 2, seeded()) == [2, 3]


@pytest.mark.usefixtures("own_module")
@pytest.mark.parametrize(
    "name",
    [
        "no_such_module_anywhere:f",
        "my_own_strategies:absent",
        "my_own_strategies:",
        "my_own_strategies:NUMBER",
        ":last",
        "..relative:last",
    ],
)
def test_a_strategy_that_cannot_be_had_is_refused_by_name(name):
    with pytest.raises(DataError) as refused:
        find_strategy(name)
    assert name in str(refused.value)


@pytest.mark.usefixtures("own_module")
def test_a_strategy_that_needs_what_there_is_not_is_refused_with_what_there_is():
    with pytest.raises(DataError, match=r"hidden_labels; there is .*probs_N_K_C"):
        find_strategy("my_own_strategies:greedy")


# --- goldens ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted({*STRATEGIES, "diverse-bald"} - {"vaal"}))
def test_chooses_what_it_chose_when_this_was_written(name):
    assert indices(find_strategy(name)(random_candidates(20), 5, seeded())) == GOLDEN[name]


GOLDEN = {
    "random": [4, 5, 13, 19, 7],
    "least-confidence": [7, 19, 12, 5, 0],
    "margin": [7, 12, 19, 0, 13],
    "entropy": [7, 19, 5, 12, 18],
    "dbal": [2, 19, 5, 15, 9],
    "bald": [13, 15, 2, 3, 18],
    "variation-ratio": [2, 5, 6, 9, 15],
    "power-bald": [0, 3, 5, 13, 1],
    "ensemble": [2, 19, 5, 15, 9],
    "epig": [13, 15, 2, 11, 10],
    "batchbald": [13, 2, 18, 15, 3],
    "badge": [19, 18, 6, 2, 12],
    "coreset": [12, 1, 16, 3, 0],
    "typiclust": [19, 9, 7, 5, 2],
    "probcover": [1, 0, 4, 5, 2],
    "maxherding": [1, 0, 5, 16, 4],
    "uherding": [12, 5, 13, 16, 7],
    "dropquery": [7, 10, 5, 0, 1],
    "clue": [10, 2, 13, 4, 12],
    "novelty": [2, 5, 13, 18, 4],
    "diverse-bald": [13, 15, 2, 0, 5],
}
