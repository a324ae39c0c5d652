import pytest
import torch

from models.acquisition.candidates import Candidates, needing, needs_of, starts_cold, wants_members
from models.acquisition.strategies.table import STRATEGIES
from models.acquisition.strategy_checks import random_candidates
from models.errors import DataError


def test_rows_takes_every_kind_of_evidence_along_and_leaves_what_is_labelled():
    candidates = random_candidates(5)
    some = candidates.rows([3, 1])
    assert len(some) == 2
    for name in ("probs_N_K_C", "deterministic_N_C", "embeddings_N_F", "images"):
        assert torch.equal(getattr(some, name), getattr(candidates, name)[[3, 1]])
    for name in ("labelled_embeddings_M_F", "labelled_classes_M", "labelled_images"):
        assert getattr(some, name) is getattr(candidates, name)
    assert some.parts_N == ["part-3", "part-1"]


def test_rows_of_absent_evidence_stay_absent():
    assert Candidates(3).rows([0]) == Candidates(1)


def test_known_are_the_labelled_and_then_the_picked():
    candidates = Candidates(
        1,
        embeddings_N_F=torch.ones(1, 2),
        labelled_embeddings_M_F=torch.zeros(2, 2),
        picked=Candidates(1, embeddings_N_F=torch.full((1, 2), 7.0)),
    )
    assert candidates.known_embeddings().tolist() == [[0, 0], [0, 0], [7, 7]]


def test_features_of_another_model_are_refused_with_both_numbers():
    candidates = Candidates(
        1, embeddings_N_F=torch.ones(1, 3), labelled_embeddings_M_F=torch.ones(2, 2)
    )
    with pytest.raises(DataError, match="have 2 features, those of the pool 3"):
        candidates.known_embeddings()


def test_the_default_need_is_the_posterior_by_dropout():
    def plain(_candidates, size, _generator):
        return list(range(size))

    assert needs_of(plain) == ("probs_N_K_C",)
    assert not wants_members(plain)


def test_only_the_ensemble_wants_members():
    assert [name for name in STRATEGIES if wants_members(STRATEGIES[name])] == ["ensemble"]


def test_what_starts_cold_reads_features_alone_or_nothing():
    cold = [name for name in STRATEGIES if starts_cold(STRATEGIES[name])]
    assert cold == ["random", "coreset", "typiclust", "probcover", "novelty"]
    assert not starts_cold(needing("images")(lambda *_: []))


@pytest.mark.parametrize("name", ["coreset", "typiclust", "probcover"])
def test_a_cold_start_needs_no_label(name):
    candidates = Candidates(
        30,
        embeddings_N_F=random_candidates(30).embeddings_N_F,
        labelled_embeddings_M_F=torch.zeros(0, 6),
        labelled_classes_M=torch.zeros(0, dtype=torch.int64),
    )
    chosen = STRATEGIES[name](candidates, 6, torch.Generator().manual_seed(0))
    assert len(set(chosen.tolist())) == 6
