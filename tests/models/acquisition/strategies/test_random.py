from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from models.acquisition.candidates import Candidates
from models.acquisition.strategies.random import random
from tests.models.acquisition.pools import indices, seeded


def test_another_seed_gives_another_batch():
    first, second = (indices(random(Candidates(40), 10, seeded(seed))) for seed in (0, 1))
    assert first != second


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 1000))
def test_what_is_drawn_is_distinct_and_follows_from_its_generator(count, size, seed):
    drawn = indices(random(Candidates(count), size, seeded(seed)))
    assert len(drawn) == len(set(drawn)) == min(count, size)
    assert set(drawn) <= set(range(count))
    assert drawn == indices(random(Candidates(count), size, seeded(seed)))


def test_each_casting_is_as_likely_to_be_drawn_first():
    generator = seeded()
    first = Counter(random(Candidates(5), 1, generator).item() for _ in range(2000))
    assert chisquare([first[i] for i in range(5)]).pvalue > 0.001


def test_it_takes_each_casting_as_often():
    generator = seeded(4)
    taken = [i for _ in range(1000) for i in indices(random(Candidates(6), 2, generator))]
    assert chisquare([taken.count(i) for i in range(6)]).pvalue > 0.001
