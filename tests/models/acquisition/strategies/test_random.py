from scipy.stats import chisquare

from models.acquisition.candidates import Candidates
from models.acquisition.strategies.random import random
from tests.models.acquisition.pools import indices, seeded


def test_another_seed_gives_another_batch():
    first, second = (indices(random(Candidates(40), 10, seeded(seed))) for seed in (0, 1))
    assert first != second


def test_it_takes_each_casting_as_often():
    generator = seeded(4)
    taken = [i for _ in range(1000) for i in indices(random(Candidates(6), 2, generator))]
    assert chisquare([taken.count(i) for i in range(6)]).pvalue > 0.001
