import pytest
import torch

from models.acquisition.candidates import Candidates
from models.acquisition.strategy_checks import random_candidates
from models.errors import DataError


def test_rows_take_all_that_is_known_of_them_along_and_leaves_what_is_labelled():
    candidates = random_candidates(5)
    rows = candidates.rows([3, 1])
    assert len(rows) == 2
    for name in ("probs_N_K_C", "deterministic_N_C", "embeddings_N_F", "images"):
        assert torch.equal(getattr(rows, name), getattr(candidates, name)[[3, 1]])
    for name in ("labelled_embeddings_M_F", "labelled_classes_M", "labelled_images"):
        assert getattr(rows, name) is getattr(candidates, name)
    assert rows.parts_N == ["part-3", "part-1"]


def test_what_is_not_known_of_rows_stays_unknown():
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


def test_what_was_not_named_in_needs_is_refused_by_name():
    with pytest.raises(DataError, match="reads probs_N_K_C but does not name it in its `needs`"):
        Candidates(1).posterior()


def test_what_is_not_a_number_is_refused_with_how_many():
    probs = torch.tensor([[0.5, 0.5], [torch.nan, 0.5], [0.1, 0.9]])
    with pytest.raises(DataError, match="deterministic_N_C is NaN for 1 of 3 castings"):
        Candidates(3, deterministic_N_C=probs).deterministic()
