import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from models.acquisition.candidates import Candidates
from models.acquisition.selection import choose_batch, gumbel, one_per_part, spaced, top_scoring
from models.acquisition.strategy import needing
from models.errors import DataError
from tests.models.acquisition.pools import seeded

quick = settings(max_examples=60, deadline=None)
parts_lists = st.lists(st.sampled_from("abcde"), max_size=14)


# --- worked by hand -----------------------------------------------------------------------------


def test_the_best_scores_come_first():
    assert top_scoring(torch.tensor([0.1, 0.9, 0.4]), 2).tolist() == [1, 2]


def test_ties_go_to_the_lower_index():
    assert top_scoring(torch.tensor([0.5, 0.9, 0.5, 0.9]), 4).tolist() == [1, 3, 0, 2]


def test_scores_that_differ_by_rounding_are_ties():
    scores = torch.tensor([0.3, 0.3 + 2e-7, 0.3 - 2e-7], dtype=torch.float64)
    assert top_scoring(scores, 3).tolist() == [0, 1, 2]


def test_scores_that_differ_by_more_than_a_millionth_are_not_ties():
    scores = torch.tensor([0.3, 0.300002], dtype=torch.float64)
    assert top_scoring(scores, 1).tolist() == [1]


def test_a_nan_is_refused_rather_than_sorted_first():
    with pytest.raises(ValueError, match="1 of 3 scores are NaN"):
        top_scoring(torch.tensor([0.1, torch.nan, 0.2]), 1)


def test_asking_for_more_than_there_is_gives_all():
    assert top_scoring(torch.tensor([0.1, 0.2]), 9).tolist() == [1, 0]
    assert top_scoring(torch.empty(0), 3).tolist() == []


def test_a_part_is_taken_once_while_others_remain():
    ranking = [0, 1, 2, 3]  # castings 0 and 1 show one part
    batch = one_per_part(["a", "a", "b", "c"], 3, prefix_of(ranking))
    assert batch == [0, 2, 3]


def test_parts_open_again_when_each_has_one():
    assert one_per_part(["a", "a", "b", "a"], 4, prefix_of([0, 1, 2, 3])) == [0, 2, 1, 3]


def test_the_strategy_is_asked_again_for_what_is_missing_only():
    asked = []

    def choose(eligible, size, _batch):
        asked.append((list(eligible), size))
        return eligible[:size]

    one_per_part(["a", "a", "b"], 2, choose)
    assert asked == [([0, 1, 2], 2), ([2], 1)]


def test_nothing_is_chosen_from_an_empty_pool_or_for_an_empty_batch():
    assert one_per_part([], 3, prefix_of([])) == []
    assert one_per_part(["a"], 0, prefix_of([0])) == []


def test_spaced_indices_are_all_there_are_or_spread_evenly():
    assert spaced(3, 10).tolist() == [0, 1, 2]
    assert spaced(10, 4).tolist() == [0, 2, 5, 7]
    assert spaced(0, 4).tolist() == []


def test_what_ranks_is_asked_once_for_its_whole_order():
    asked = []

    @needing(ranks=True)
    def counting(candidates, size, generator):
        asked.append(size)
        return range(size)

    assert choose_batch(counting, Candidates(6), list("aaabbc"), 4, seeded()) == [0, 3, 5, 1]
    assert asked == [6]


def test_what_does_not_rank_is_asked_again_and_told_what_the_batch_holds():
    told = []

    @needing("parts_N")
    def first(candidates, size, generator):
        told.append((size, candidates.picked and candidates.picked.parts_N))
        return range(size)

    parts = list("aaabbc")
    candidates = Candidates(6, parts_N=parts)
    assert choose_batch(first, candidates, parts, 4, seeded()) == [0, 3, 5, 1]
    assert told == [(4, None), (1, ["a", "b"]), (1, ["a", "b", "c"])]


@pytest.mark.parametrize(
    "returned",
    [[0, 0], [0], [], [0, 1, 2], [0, 0, 1], [0, 3], [-1, 0]],
    ids=["twice", "too few", "none", "too many", "too many with one twice", "beyond", "negative"],
)
def test_a_batch_that_is_not_what_was_asked_for_is_refused(returned):
    @needing()
    def wrong(_candidates, _size, _generator):
        return returned

    with pytest.raises(DataError, match="asked for 2 of 3 castings"):
        choose_batch(wrong, Candidates(3), list("abc"), 2, seeded())


def test_what_a_strategy_returns_may_be_a_tensor_a_list_or_numpy_integers():
    for returned in (torch.tensor([2, 0]), [2, 0], np.array([2, 0])):
        chosen = choose_batch(
            lambda *_, returned=returned: returned, Candidates(3), list("abc"), 2, seeded()
        )
        assert chosen == [2, 0]
        assert all(type(index) is int for index in chosen)


# --- properties ---------------------------------------------------------------------------------


@quick
@given(st.lists(st.floats(-5, 5), max_size=20), st.integers(0, 25))
def test_a_batch_has_no_casting_twice_and_its_scores_never_rise(values, size):
    scores = torch.tensor(values, dtype=torch.float64)
    before = scores.clone()
    batch = top_scoring(scores, size).tolist()
    assert len(batch) == len(set(batch)) == min(size, len(values))
    chosen = [values[i] for i in batch]
    assert all(a >= b - 1e-6 for a, b in itertools.pairwise(chosen))
    assert torch.equal(scores, before)


@quick
@given(parts_lists, st.integers(0, 16), st.randoms(use_true_random=False))
def test_a_batch_is_full_distinct_and_keeps_parts_apart_as_long_as_it_can(parts, size, random):
    def choose(eligible, wanted, _batch):
        return random.sample(eligible, wanted)

    batch = one_per_part(parts, size, choose)
    assert len(batch) == len(set(batch)) == min(size, len(parts))
    first = [parts[i] for i in batch[: len(set(parts))]]
    assert len(first) == len(set(first))
    # never is a part ahead by two of another that still has castings to give
    held, there_are = Counter(parts[i] for i in batch), Counter(parts)
    for behind in there_are:
        if held[behind] < there_are[behind]:
            assert all(count <= held[behind] + 1 for count in held.values())


# --- independent oracles ------------------------------------------------------------------------


@quick
@given(parts_lists, st.integers(0, 16), st.randoms(use_true_random=False))
def test_with_a_ranking_the_batch_is_that_of_walking_down_it_round_by_round(parts, size, random):
    ranking = random.sample(range(len(parts)), len(parts))
    walked, left = [], list(ranking)
    while left:
        seen = set()
        for index in list(left):
            if parts[index] not in seen:
                seen.add(parts[index])
                walked.append(index)
                left.remove(index)
    assert one_per_part(parts, size, prefix_of(ranking)) == walked[:size]


def test_the_noise_is_gumbel():
    noise = gumbel(4000, seeded())
    assert noise.dtype == torch.float64
    assert kstest(noise.numpy(), "gumbel_r").pvalue > 0.01
    assert noise.mean().item() == pytest.approx(0.5772, abs=4 * math.pi / math.sqrt(24e3))


def test_the_noise_is_finite_even_where_the_uniform_draw_is_zero(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda n, **_: torch.zeros(n, dtype=torch.float64))
    assert torch.isfinite(gumbel(3, seeded())).all()


def prefix_of(ranking):
    """A strategy that ranks once and for all."""

    def choose(eligible, size, _batch):
        return [i for i in ranking if i in set(eligible)][:size]

    return choose
