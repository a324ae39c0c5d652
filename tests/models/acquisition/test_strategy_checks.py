"""The checks catch what they are there for: each wrong strategy fails the check named."""

import re
from pathlib import Path

import pytest
import torch

from models.acquisition.strategies.bald import bald
from models.acquisition.strategies.table import find_strategy
from models.acquisition.strategy import KNOWABLE, needing
from models.acquisition.strategy_checks import (
    CHECKS,
    check_strategy,
    random_candidates,
    require_checks,
)
from models.errors import DataError


def failed(strategy):
    return {name: wrong for name, wrong in check_strategy(strategy).items() if wrong}


@needing("probs_N_K_C")
def one_too_few(candidates, size, generator):
    """Forget the last."""
    return list(range(size - 1))


@needing("embeddings_N_F")
def unseeded(candidates, size, generator):
    """Ask the global generator."""
    return torch.randperm(len(candidates.embeddings()))[:size]


@needing("deterministic_N_C")
def scribbler(candidates, size, generator):
    """Write into the probabilities."""
    candidates.deterministic().sort(dim=0)
    candidates.deterministic_N_C[:] = candidates.deterministic_N_C.sort(dim=0).values
    return torch.arange(size)


@needing("deterministic_N_C")
def reads_more(candidates, size, generator):
    """Read what it does not name."""
    return candidates.posterior().mean(dim=(1, 2)).argsort()[:size]


@needing("deterministic_N_C")
def unrounded(candidates, size, generator):
    """Tell scores apart that differ by rounding."""
    return (candidates.deterministic() * 1e12 % 7).sum(dim=1).argsort()[:size]


@needing("embeddings_N_F")
def last_first(candidates, size, generator):
    """Break ties the wrong way."""
    return candidates.embeddings().sum(dim=1).argsort(stable=True).flip(0)[:size]


@needing("probs_N_K_C")
def blind(candidates, size, generator):
    """Sort NaN first."""
    return candidates.probs_N_K_C.mean(dim=(1, 2)).argsort()[:size]


@needing("probs_N_K_C", ranks=True)
def no_ranking(candidates, size, generator):
    """Say that it ranks, and begin elsewhere for each size."""
    candidates.posterior()
    return [(i + size) % len(candidates) for i in range(size)]


@needing()
def breaks(candidates, size, generator):
    """Break down."""
    return size / 0


@pytest.mark.parametrize(
    ("strategy", "check"),
    [
        (one_too_few, "returns as many distinct indices as asked for"),
        (unseeded, "draws from its generator and no other"),
        (unseeded, "chooses the same for the same seed"),
        (unseeded, "is moved by a seed only through its generator"),
        (scribbler, "writes into nothing"),
        (reads_more, "reads only what it needs"),
        (unrounded, "chooses the same whatever the order of finding"),
        (last_first, "breaks ties by casting id"),
        (blind, "refuses what is not a number"),
        (blind, "says so when what it needs is missing"),
        (no_ranking, "ranks if it says so"),
    ],
)
def test_a_wrong_strategy_fails_the_check(strategy, check):
    wrong = failed(strategy)
    assert check in wrong
    assert wrong[check]


def test_a_strategy_without_a_docstring_is_told_so():
    assert (
        "docstring"
        in failed(lambda candidates, size, generator: [])["has needs that exist and a docstring"]
    )


def test_a_strategy_that_breaks_down_fails_and_the_error_is_told():
    assert (
        "ZeroDivisionError: division by zero"
        in failed(breaks)["returns as many distinct indices as asked for"]
    )


def test_a_strategy_that_needs_what_there_is_not_is_told_what_there_is():
    @needing("hidden_labels")
    def cheat(candidates, size, generator):
        """Peek."""

    assert "there is deterministic_N_C" in failed(cheat)["has needs that exist and a docstring"]


def test_every_check_is_reported_in_order():
    assert list(check_strategy(bald)) == list(CHECKS)


def test_a_strategy_that_is_required_to_pass_is_refused_with_what_went_wrong():
    assert require_checks(bald) == list(CHECKS)
    with pytest.raises(DataError, match=r"^\d+ of 13 checks failed: .*division by zero"):
        require_checks(breaks)


def test_random_candidates_hold_all_that_can_be_known():
    candidates = random_candidates(5)
    assert candidates.images.shape == (5, 1, 8, 8)
    assert len(candidates.labelled_images) == len(candidates.labelled_classes_M) == 7


def test_the_example_of_the_page_on_adding_a_strategy_passes_every_check(tmp_path, monkeypatch):
    page = Path(__file__).resolve().parents[3] / "docs" / "add-a-strategy.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    (tmp_path / "my_strategies.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("my_strategies:unsure_and_usual", "diverse-my_strategies:unsure_and_usual"):
        assert failed(find_strategy(name)) == {}


def test_the_page_names_everything_that_can_be_needed():
    page = Path(__file__).resolve().parents[3] / "docs" / "add-a-strategy.md"
    assert set(re.findall(r"^\| `(\w+)`", page.read_text(), re.MULTILINE)) == KNOWABLE
