"""Every strategy of the table passes the same checks; then each is met by an oracle of its own."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from models import uncertainty
from models.acquisition.selection import choose_batch
from models.acquisition.strategies import epig
from models.acquisition.strategies.table import (
    STRATEGIES,
    Candidates,
    find_strategy,
    needing,
    needs_of,
)
from models.acquisition.strategy_checks import CHECKS, random_candidates
from models.errors import DataError

NOISY = {"random", "power-bald"}
OF_THEIR_OWN = {  # their files
    "batchbald", "badge", "coreset", "typiclust", "probcover", "vaal", "novelty",
}  # fmt: skip
quick = settings(max_examples=25, deadline=None)
every_but_vaal = pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "vaal"])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_candidates(count, seed=0, classes=3, passes=5):
    return random_candidates(count, seed, classes, passes)


def indices(chosen):
    return [int(i) for i in chosen]


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
    chosen = indices(STRATEGIES[name](random_candidates(count, seed=count), size, seeded()))
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
        found = candidates.rows(found_in_order)
        generator = seeded(found_in_order[0])
        rounding = 1e-11 * torch.rand(14, 1, 1, generator=generator, dtype=torch.float64)
        by_id = sorted(range(14), key=lambda row: ids[found_in_order[row]])
        # in another order and chunking the numbers are the same but for rounding
        near = replace(
            found,
            probs_N_K_C=found.probs_N_K_C * (1 + rounding),
            deterministic_N_C=found.deterministic_N_C * (1 + rounding[:, 0]),
        )
        chosen = choose_batch(STRATEGIES[name], near.rows(by_id), parts, 8, seeded(seed))
        return [ids[i] for i in chosen]

    assert batch(shuffled) == batch(list(range(14)))


@pytest.mark.parametrize("name", sorted(NOISY))
def test_with_noise_another_seed_gives_another_batch(name):
    flat = random_candidates(1).rows([0] * 40)
    first, second = (indices(STRATEGIES[name](flat, 10, seeded(s))) for s in (0, 1))
    assert first != second


@every_but_vaal
@quick
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), st.data())
def test_takes_one_casting_a_part_while_parts_remain(name, parts, data):
    size = data.draw(st.integers(1, len(parts)))
    candidates = random_candidates(len(parts), seed=len(parts))
    chosen = choose_batch(STRATEGIES[name], candidates, parts, size, seeded())
    assert len(chosen) == len(set(chosen)) == size
    first = [parts[i] for i in chosen[: len(set(parts))]]
    assert len(set(first)) == len(first)


@every_but_vaal
def test_a_pool_smaller_than_the_batch_is_taken_whole(name):
    candidates = random_candidates(4)
    chosen = choose_batch(STRATEGIES[name], candidates, list("aabc"), 9, seeded())
    assert sorted(chosen) == [0, 1, 2, 3]


def test_an_empty_pool_gives_an_empty_batch():
    for strategy in STRATEGIES.values():
        assert choose_batch(strategy, Candidates(0), [], 3, seeded()) == []


# --- worked by hand -----------------------------------------------------------------------------


def test_the_table_has_the_names_of_the_interface():
    assert {"random", "least-confidence", "margin", "entropy"} <= set(STRATEGIES)
    assert {"dbal", "bald", "variation-ratio", "power-bald"} <= set(STRATEGIES)
    assert set(STRATEGIES) >= OF_THEIR_OWN | {"ensemble", "epig"}


def test_bald_and_dbal_part_ways_on_a_casting_that_is_ambiguous_in_every_pass():
    ambiguous, disputed = [[0.5, 0.5], [0.5, 0.5]], [[0.95, 0.05], [0.1, 0.9]]
    candidates = Candidates(2, torch.tensor([ambiguous, disputed], dtype=torch.float64))
    assert indices(STRATEGIES["dbal"](candidates, 1, seeded())) == [0]
    assert indices(STRATEGIES["bald"](candidates, 1, seeded())) == [1]


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


def test_members_that_vote_alike_are_told_apart_by_entropy():
    split_sharp = [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]
    split_soft = [[0.6, 0.4], [0.4, 0.6], [0.6, 0.4]]
    united = [[0.5, 0.5], [0.51, 0.49], [0.5, 0.5]]
    candidates = Candidates(
        3, torch.tensor([united, split_sharp, split_soft], dtype=torch.float64)
    )
    assert indices(STRATEGIES["ensemble"](candidates, 3, seeded())) == [2, 1, 0]
    assert indices(STRATEGIES["variation-ratio"](candidates, 3, seeded())) == [1, 2, 0]


def test_epig_prefers_what_tells_about_the_pool_to_what_tells_about_itself():
    """Two castings are as much disputed; the passes that dispute one dispute the rest as well."""
    odd = [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]
    like_the_rest = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]
    rest = [[0.8, 0.2], [0.8, 0.2], [0.2, 0.8], [0.2, 0.8]]
    candidates = Candidates(
        8, torch.tensor([odd, like_the_rest, *[rest] * 6], dtype=torch.float64)
    )
    assert indices(STRATEGIES["bald"](candidates, 1, seeded())) == [0]
    assert indices(STRATEGIES["epig"](candidates, 1, seeded())) == [1]


def test_epig_takes_evenly_spaced_targets_of_a_large_pool(monkeypatch):
    monkeypatch.setattr(epig, "_TARGET_LABELS", 12)
    candidates = random_candidates(15)
    targets = candidates.probs_N_K_C[[0, 3, 7, 11]]
    told = uncertainty.expected_predictive_information(candidates.probs_N_K_C, targets)
    order = sorted(range(15), key=lambda i: (-round(float(told[i]), 6), i))
    assert indices(STRATEGIES["epig"](candidates, 15, seeded())) == order


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


def test_a_name_of_the_table_is_found():
    assert find_strategy("bald") is STRATEGIES["bald"]


def test_an_unknown_name_is_refused_with_the_list():
    with pytest.raises(DataError) as refused:
        find_strategy("blad")
    assert all(name in str(refused.value) for name in STRATEGIES)
    assert "package.module:function" in str(refused.value)


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


# --- independent oracles ------------------------------------------------------------------------


def xlogx(probs):
    return np.where(probs > 0, probs * np.log(np.where(probs > 0, probs, 1)), 0)


def numpy_variation_ratio(posterior, _verdicts):
    found = []
    for passes in posterior:
        votes = [int(np.argmax(one)) for one in passes]
        found.append(1 - max(votes.count(c) for c in set(votes)) / len(votes))
    return np.array(found)


def numpy_epig(posterior, _verdicts):
    """Mutual information of two labels, pair by pair."""
    found = []
    for own in posterior:
        informations = []
        for target in posterior:
            joint = np.mean([np.outer(a, b) for a, b in zip(own, target, strict=True)], axis=0)
            apart = np.outer(own.mean(axis=0), target.mean(axis=0))
            informations.append((joint * np.log(joint / apart)).sum())
        found.append(np.mean(informations))
    return np.array(found)


ORACLES = {
    "least-confidence": lambda _, verdicts: 1 - verdicts.max(axis=1),
    "margin": lambda _, verdicts: -(np.sort(verdicts)[:, -1] - np.sort(verdicts)[:, -2]),
    "entropy": lambda _, verdicts: -xlogx(verdicts).sum(axis=1),
    "dbal": lambda posterior, _: -xlogx(posterior.mean(axis=1)).sum(axis=1),
    "bald": lambda posterior, _: (
        xlogx(posterior).sum(axis=2).mean(axis=1) - xlogx(posterior.mean(axis=1)).sum(axis=1)
    ),
    "variation-ratio": numpy_variation_ratio,
    "ensemble": lambda posterior, _: (
        1000 * numpy_variation_ratio(posterior, _) - xlogx(posterior.mean(axis=1)).sum(axis=1)
    ),
    "epig": numpy_epig,
}


def test_every_score_without_noise_has_an_oracle():
    assert set(ORACLES) == set(STRATEGIES) - NOISY - OF_THEIR_OWN


@pytest.mark.parametrize("name", ORACLES)
@quick
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_the_order_is_that_of_numpy(name, seed, classes):
    candidates = random_candidates(15, seed=seed, classes=classes)
    wanted = ORACLES[name](candidates.probs_N_K_C.numpy(), candidates.deterministic_N_C.numpy())
    order = sorted(range(15), key=lambda i: (-round(float(wanted[i]), 6), i))
    assert indices(STRATEGIES[name](candidates, 15, seeded())) == order


@quick
@given(st.lists(st.integers(0, 100), min_size=2, max_size=15, unique=True))
def test_for_two_classes_three_strategies_choose_alike(hundredths):
    kept = [h for h in hundredths if 100 - h not in hundredths or h <= 50]
    first = torch.tensor(kept, dtype=torch.float64) / 100
    candidates = Candidates(len(kept), deterministic_N_C=torch.stack([first, 1 - first], dim=1))
    names = ("entropy", "least-confidence", "margin")
    orders = {tuple(indices(STRATEGIES[n](candidates, len(kept), seeded()))) for n in names}
    assert len(orders) == 1


def disputed(bald_N):
    """Two-class, two-pass posteriors (half ± d) whose mutual information is as given."""

    def gap(bald):
        low, high = 0.0, 0.5
        for _ in range(60):
            middle = (low + high) / 2
            p, q = 0.5 + middle, 0.5 - middle
            found = math.log(2) + sum(v * math.log(v) for v in (p, q) if v > 0)
            low, high = (middle, high) if found < bald else (low, middle)
        return low

    rows = [[[0.5 + gap(b), 0.5 - gap(b)], [0.5 - gap(b), 0.5 + gap(b)]] for b in bald_N]
    return Candidates(len(rows), torch.tensor(rows, dtype=torch.float64))


def test_power_bald_follows_bald_where_the_gaps_are_huge():
    candidates = disputed([0.0, 0.69, 4e-4])
    assert uncertainty.bald(candidates.probs_N_K_C).tolist() == pytest.approx(
        [0, 0.69, 4e-4], abs=1e-9
    )
    for seed in range(10):
        assert indices(STRATEGIES["power-bald"](candidates, 3, seeded(seed))) == [1, 2, 0]


def test_power_bald_takes_the_first_casting_in_proportion_to_bald():
    shares = [0.1, 0.2, 0.3, 0.4]
    candidates, generator = disputed([0.6 * s for s in shares]), seeded(1)
    first = [int(STRATEGIES["power-bald"](candidates, 1, generator)[0]) for _ in range(3000)]
    counts = [first.count(i) for i in range(4)]
    assert chisquare(counts, [3000 * s for s in shares]).pvalue > 0.001


def test_power_bald_takes_the_second_casting_in_proportion_among_the_rest():
    candidates, generator = disputed([0.06, 0.12, 0.18]), seeded(2)
    pairs = [
        tuple(indices(STRATEGIES["power-bald"](candidates, 2, generator))) for _ in range(3000)
    ]
    given_two_first = [b for a, b in pairs if a == 2]
    counts = [given_two_first.count(i) for i in (0, 1)]
    total = len(given_two_first)
    assert chisquare(counts, [total / 3, 2 * total / 3]).pvalue > 0.001


def test_random_takes_each_casting_as_often():
    generator = seeded(4)
    taken = [
        i for _ in range(1000) for i in indices(STRATEGIES["random"](Candidates(6), 2, generator))
    ]
    assert chisquare([taken.count(i) for i in range(6)]).pvalue > 0.001


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
    "typiclust": [5, 9, 19, 10, 18],
    "probcover": [5, 0, 1, 2, 3],
    "novelty": [2, 5, 13, 18, 4],
    "diverse-bald": [13, 15, 2, 18, 14],
}
