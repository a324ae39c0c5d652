from dataclasses import fields

import pytest
import torch

from models.acquisition.candidates import Candidates
from models.acquisition.strategies.table import STRATEGIES, find_strategy
from models.acquisition.strategy import KNOWABLE, needing, needs_of, starts_cold, wants_members
from models.acquisition.strategy_checks import random_candidates
from models.errors import DataError


def test_what_may_be_needed_is_what_candidates_hold_but_for_what_comes_by_itself():
    by_itself = {"count", "labelled_images", "picked", "places_N"}
    assert {field.name for field in fields(Candidates)} - by_itself == KNOWABLE


def test_a_need_for_what_there_is_not_is_refused_with_what_there_is():
    with pytest.raises(DataError, match=r"a strategy needs oracle; there is .*probs_N_K_C"):
        needs_of(needing("oracle", "images")(lambda *_: []))


def test_the_default_need_is_the_posterior_by_dropout():
    def plain(_candidates, size, _generator):
        return list(range(size))

    assert needs_of(plain) == ("probs_N_K_C",)
    assert not wants_members(plain)


def test_only_the_ensemble_wants_members():
    assert [name for name in STRATEGIES if wants_members(find_strategy(name))] == ["ensemble"]


def test_what_starts_cold_reads_features_alone_or_nothing():
    cold = [name for name in STRATEGIES if starts_cold(find_strategy(name))]
    assert cold == ["random", "coreset", "typiclust", "probcover", "maxherding", "novelty"]
    assert not starts_cold(needing("images")(lambda *_: []))


@pytest.mark.parametrize("name", ["coreset", "typiclust", "probcover"])
def test_a_cold_start_needs_no_label(name):
    candidates = Candidates(
        30,
        embeddings_N_F=random_candidates(30).embeddings_N_F,
        labelled_embeddings_M_F=torch.zeros(0, 6),
        labelled_classes_M=torch.zeros(0, dtype=torch.int64),
    )
    chosen = find_strategy(name)(candidates, 6, torch.Generator().manual_seed(0))
    assert len(set(chosen.tolist())) == 6
