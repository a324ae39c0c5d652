"""Every strategy of the table passes the same checks; then each is met by an oracle of its own."""

import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from models import scores
from models.errors import CastingError, DataError
from models.strategies import (
    EVIDENCE,
    STRATEGIES,
    Evidence,
    choose_batch,
    find_strategy,
    needing,
    needs_of,
)

NOISY = {"random", "power-bald"}
quick = settings(max_examples=25, deadline=None)
every = pytest.mark.parametrize("name", STRATEGIES)
every_without_noise = pytest.mark.parametrize("name", [n for n in STRATEGIES if n not in NOISY])
every_that_reads = pytest.mark.parametrize(
    "name", [n for n, strategy in STRATEGIES.items() if needs_of(strategy)]
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def some_evidence(count, seed=0, classes=3, passes=5):
    generator = seeded(seed)
    shape = (count, passes, classes)
    probs = (2 * torch.randn(shape, generator=generator, dtype=torch.float64)).softmax(dim=-1)
    logits = torch.randn(count, classes, generator=generator, dtype=torch.float64)
    return Evidence(
        count=count,
        probs_N_K_C=probs,
        deterministic_N_C=logits.softmax(dim=-1),
        embeddings_N_F=torch.rand(count, 6, generator=generator),
        parts_N=[f"part-{i}" for i in range(count)],
    )


def flat_evidence(count):
    return some_evidence(1).rows([0] * count)


def only_what_is_needed(evidence, strategy):
    needed = needs_of(strategy)
    given_fields = {f.name: getattr(evidence, f.name) for f in fields(Evidence)}
    return Evidence(**{k: v for k, v in given_fields.items() if k == "count" or k in needed})


def indices(chosen):
    return [int(i) for i in chosen]


def tensors_of(evidence):
    return [getattr(evidence, name) for name in sorted(EVIDENCE - {"parts_N"})]


# --- the check-suite: every name of the table ---------------------------------------------------


@every
@quick
@given(st.integers(1, 12), st.data())
def test_returns_as_many_distinct_indices_as_asked_for(name, count, data):
    size = data.draw(st.integers(1, count))
    chosen = indices(STRATEGIES[name](some_evidence(count, seed=count), size, seeded()))
    assert len(chosen) == len(set(chosen)) == size
    assert set(chosen) <= set(range(count))


@every
def test_takes_the_whole_pool_when_asked_for_all_of_it(name):
    chosen = indices(STRATEGIES[name](some_evidence(9), 9, seeded()))
    assert sorted(chosen) == list(range(9))


@every
def test_chooses_a_batch_of_one_and_from_a_pool_of_one(name):
    assert len(indices(STRATEGIES[name](some_evidence(9), 1, seeded()))) == 1
    assert indices(STRATEGIES[name](some_evidence(1), 1, seeded())) == [0]


@every
def test_chooses_the_same_for_the_same_seed(name):
    evidence = some_evidence(30)
    first = indices(STRATEGIES[name](evidence, 10, seeded(3)))
    assert indices(STRATEGIES[name](evidence, 10, seeded(3))) == first


@every
def test_draws_from_its_generator_and_no_other(name):
    before = torch.get_rng_state()
    STRATEGIES[name](some_evidence(30), 10, seeded(3))
    assert torch.equal(torch.get_rng_state(), before)


@every
def test_writes_into_nothing(name):
    evidence = some_evidence(12)
    before = [tensor.clone() for tensor in tensors_of(evidence)]
    choose_batch(STRATEGIES[name], evidence, evidence.parts_N, 5, seeded())
    assert all(map(torch.equal, tensors_of(evidence), before))
    assert evidence.parts_N == [f"part-{i}" for i in range(12)]


@every
def test_reads_only_what_it_needs(name):
    evidence, strategy = some_evidence(12), STRATEGIES[name]
    spare = only_what_is_needed(evidence, strategy)
    chosen = indices(strategy(spare, 5, seeded()))
    assert chosen == indices(strategy(evidence, 5, seeded()))


@every_that_reads
def test_without_what_it_needs_says_so(name):
    with pytest.raises(DataError, match="does not name it in its `needs`"):
        STRATEGIES[name](Evidence(count=3), 1, seeded())


@every
@quick
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_permuting_the_castings_changes_nothing_in_the_batch(name, seed, random):
    ids = [f"{i:02d}" for i in range(14)]
    parts = [f"part-{i % 5}" for i in range(14)]
    evidence = some_evidence(14, seed=seed)
    shuffled = random.sample(range(14), 14)

    def batch(found_in_order):
        found = evidence.rows(found_in_order)
        rounding = 1e-11 * torch.rand(14, 1, 1, generator=seeded(found_in_order[0]))
        by_id = sorted(range(14), key=lambda row: ids[found_in_order[row]])
        # in another order and chunking the numbers are the same but for rounding
        near = Evidence(
            14,
            found.probs_N_K_C * (1 + rounding),
            found.deterministic_N_C * (1 + rounding[:, 0]),
            found.embeddings_N_F,
        )
        chosen = choose_batch(STRATEGIES[name], near.rows(by_id), parts, 8, seeded(seed))
        return [ids[i] for i in chosen]

    assert batch(shuffled) == batch(list(range(14)))


@every_without_noise
def test_ties_go_by_casting_id(name):
    evidence = flat_evidence(8)
    assert indices(STRATEGIES[name](evidence, 5, seeded(9))) == [0, 1, 2, 3, 4]
    assert choose_batch(STRATEGIES[name], evidence, list("aabbccdd"), 5, seeded()) == [
        *(0, 2, 4, 6),
        1,
    ]


@every_without_noise
def test_without_noise_draws_nothing(name):
    generator = seeded(5)
    before = generator.get_state()
    STRATEGIES[name](some_evidence(12), 4, generator)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("name", sorted(NOISY))
def test_with_noise_another_seed_gives_another_batch(name):
    evidence = flat_evidence(40)
    first, second = (indices(STRATEGIES[name](evidence, 10, seeded(s))) for s in (0, 1))
    assert first != second


@every_that_reads
@pytest.mark.parametrize("where", ["everywhere", "in one casting", "in one number"])
def test_evidence_that_is_not_a_number_is_refused(name, where):
    evidence = some_evidence(6)
    for tensor in tensors_of(evidence):
        if where == "everywhere":
            tensor.fill_(torch.nan)
        elif where == "in one casting":
            tensor[2] = torch.nan
        else:
            tensor[2].view(-1)[0] = torch.nan
    with pytest.raises((ValueError, CastingError), match="NaN"):
        choose_batch(STRATEGIES[name], evidence, evidence.parts_N, 2, seeded())


@every
@quick
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), st.data())
def test_takes_one_casting_a_part_while_parts_remain(name, parts, data):
    size = data.draw(st.integers(1, len(parts)))
    evidence = some_evidence(len(parts), seed=len(parts))
    chosen = choose_batch(STRATEGIES[name], evidence, parts, size, seeded())
    assert len(chosen) == len(set(chosen)) == size
    first = [parts[i] for i in chosen[: len(set(parts))]]
    assert len(set(first)) == len(first)


@every
def test_a_pool_smaller_than_the_batch_is_taken_whole(name):
    evidence = some_evidence(4)
    chosen = choose_batch(STRATEGIES[name], evidence, list("aabc"), 9, seeded())
    assert sorted(chosen) == [0, 1, 2, 3]


@every
def test_needs_are_names_of_the_evidence_and_the_first_docstring_line_is_a_sentence(name):
    assert set(needs_of(STRATEGIES[name])) <= EVIDENCE
    assert STRATEGIES[name].__doc__.splitlines()[0].endswith(".")


# --- worked by hand -----------------------------------------------------------------------------


def test_the_table_has_the_names_of_the_interface():
    assert {"random", "least-confidence", "margin", "entropy"} <= set(STRATEGIES)
    assert {"dbal", "bald", "variation-ratio", "power-bald"} <= set(STRATEGIES)


def test_bald_and_dbal_part_ways_on_a_casting_that_is_ambiguous_in_every_pass():
    ambiguous, disputed = [[0.5, 0.5], [0.5, 0.5]], [[0.95, 0.05], [0.1, 0.9]]
    evidence = Evidence(2, torch.tensor([ambiguous, disputed], dtype=torch.float64))
    assert indices(STRATEGIES["dbal"](evidence, 1, seeded())) == [0]
    assert indices(STRATEGIES["bald"](evidence, 1, seeded())) == [1]


def test_rows_takes_every_kind_of_evidence_along():
    evidence = some_evidence(5)
    some = evidence.rows([3, 1])
    assert len(some) == 2
    assert torch.equal(some.probs_N_K_C, evidence.probs_N_K_C[[3, 1]])
    assert torch.equal(some.deterministic_N_C, evidence.deterministic_N_C[[3, 1]])
    assert torch.equal(some.embeddings_N_F, evidence.embeddings_N_F[[3, 1]])
    assert some.parts_N == ["part-3", "part-1"]


def test_rows_of_absent_evidence_stay_absent():
    assert Evidence(3).rows([0]) == Evidence(1)


def test_the_default_need_is_the_posterior():
    assert needs_of(lambda _evidence, size, _: list(range(size))) == ("probs_N_K_C",)


# --- strategies of the user's own ---------------------------------------------------------------


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "my_own_strategies.py").write_text(
        "def last(evidence, size, generator):\n"
        "    return range(len(evidence) - size, len(evidence))\n"
        "last.needs = ('parts_N',)\n"
        "def greedy(evidence, size, generator):\n"
        "    return []\n"
        "greedy.needs = ('hidden_labels',)\n"
        "NUMBER = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("own_module")
def test_a_strategy_of_the_users_own_is_found_by_module_and_function():
    strategy = find_strategy("my_own_strategies:last")
    assert needs_of(strategy) == ("parts_N",)
    assert choose_batch(strategy, Evidence(4), list("abcd"), 2, seeded()) == [2, 3]


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
    def wrong(_evidence, _size, _generator):
        return returned

    with pytest.raises(DataError, match="asked for 2 of 3 castings"):
        choose_batch(wrong, Evidence(3), list("abc"), 2, seeded())


def test_what_a_strategy_returns_may_be_a_tensor_a_list_or_numpy_integers():
    for returned in (torch.tensor([2, 0]), [2, 0], np.array([2, 0])):
        chosen = choose_batch(
            lambda *_, returned=returned: returned, Evidence(3), list("abc"), 2, seeded()
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


ORACLES = {
    "least-confidence": lambda _, verdicts: 1 - verdicts.max(axis=1),
    "margin": lambda _, verdicts: -(np.sort(verdicts)[:, -1] - np.sort(verdicts)[:, -2]),
    "entropy": lambda _, verdicts: -xlogx(verdicts).sum(axis=1),
    "dbal": lambda posterior, _: -xlogx(posterior.mean(axis=1)).sum(axis=1),
    "bald": lambda posterior, _: (
        xlogx(posterior).sum(axis=2).mean(axis=1) - xlogx(posterior.mean(axis=1)).sum(axis=1)
    ),
    "variation-ratio": numpy_variation_ratio,
}


def test_every_strategy_without_noise_has_an_oracle():
    assert set(ORACLES) == set(STRATEGIES) - NOISY


@pytest.mark.parametrize("name", ORACLES)
@quick
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_the_order_is_that_of_numpy(name, seed, classes):
    evidence = some_evidence(15, seed=seed, classes=classes)
    wanted = ORACLES[name](evidence.probs_N_K_C.numpy(), evidence.deterministic_N_C.numpy())
    order = sorted(range(15), key=lambda i: (-round(float(wanted[i]), 6), i))
    assert indices(STRATEGIES[name](evidence, 15, seeded())) == order


@quick
@given(st.lists(st.integers(0, 100), min_size=2, max_size=15, unique=True))
def test_for_two_classes_three_strategies_choose_alike(hundredths):
    kept = [h for h in hundredths if 100 - h not in hundredths or h <= 50]
    first = torch.tensor(kept, dtype=torch.float64) / 100
    evidence = Evidence(len(kept), deterministic_N_C=torch.stack([first, 1 - first], dim=1))
    names = ("entropy", "least-confidence", "margin")
    orders = {tuple(indices(STRATEGIES[n](evidence, len(kept), seeded()))) for n in names}
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
    return Evidence(len(rows), torch.tensor(rows, dtype=torch.float64))


def test_power_bald_follows_bald_where_the_gaps_are_huge():
    evidence = disputed([0.0, 0.69, 4e-4])
    assert scores.bald(evidence.probs_N_K_C).tolist() == pytest.approx([0, 0.69, 4e-4], abs=1e-9)
    for seed in range(10):
        assert indices(STRATEGIES["power-bald"](evidence, 3, seeded(seed))) == [1, 2, 0]


def test_power_bald_takes_the_first_casting_in_proportion_to_bald():
    shares = [0.1, 0.2, 0.3, 0.4]
    evidence, generator = disputed([0.6 * s for s in shares]), seeded(1)
    first = [int(STRATEGIES["power-bald"](evidence, 1, generator)[0]) for _ in range(3000)]
    counts = [first.count(i) for i in range(4)]
    assert chisquare(counts, [3000 * s for s in shares]).pvalue > 0.001


def test_power_bald_takes_the_second_casting_in_proportion_among_the_rest():
    evidence, generator = disputed([0.06, 0.12, 0.18]), seeded(2)
    pairs = [tuple(indices(STRATEGIES["power-bald"](evidence, 2, generator))) for _ in range(3000)]
    given_two_first = [b for a, b in pairs if a == 2]
    counts = [given_two_first.count(i) for i in (0, 1)]
    total = len(given_two_first)
    assert chisquare(counts, [total / 3, 2 * total / 3]).pvalue > 0.001


def test_random_takes_each_casting_as_often():
    generator = seeded(4)
    taken = [
        i for _ in range(1000) for i in indices(STRATEGIES["random"](Evidence(6), 2, generator))
    ]
    assert chisquare([taken.count(i) for i in range(6)]).pvalue > 0.001


# --- goldens ------------------------------------------------------------------------------------


@every
def test_chooses_what_it_chose_when_this_was_written(name):
    assert indices(STRATEGIES[name](some_evidence(20), 5, seeded())) == GOLDEN[name]


GOLDEN = {
    "random": [4, 5, 13, 19, 7],
    "least-confidence": [7, 19, 12, 5, 0],
    "margin": [7, 12, 19, 0, 13],
    "entropy": [7, 19, 5, 12, 18],
    "dbal": [2, 19, 5, 15, 9],
    "bald": [13, 15, 2, 3, 18],
    "variation-ratio": [2, 5, 6, 9, 15],
    "power-bald": [0, 3, 5, 13, 1],
}
