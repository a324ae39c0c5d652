import pytest
import torch

from models.acquisition.candidates import Candidates
from models.acquisition.selection import choose_batch
from models.acquisition.strategies.diverse import diverse
from models.acquisition.strategies.table import find_strategy
from models.acquisition.strategy import needing, needs_of, wants_members
from models.errors import DataError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def in_three_kinds(margins, kinds):
    """Castings whose margin and kind are given."""
    first = 0.5 + torch.tensor(margins, dtype=torch.float64) / 2
    return Candidates(
        len(margins),
        deterministic_N_C=torch.stack([first, 1 - first], dim=1),
        embeddings_N_F=torch.eye(3)[torch.tensor(kinds)],
    )


def test_the_best_of_each_cluster_among_the_best_is_taken():
    candidates = in_three_kinds([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0, 0, 0, 1, 1, 2])
    assert find_strategy("margin")(candidates, 3, seeded()).tolist() == [0, 1, 2]
    assert find_strategy("diverse-margin")(candidates, 3, seeded()).tolist() == [0, 3, 5]


def test_castings_far_down_are_not_looked_at():
    candidates = in_three_kinds([i / 30 for i in range(30)], [0] * 20 + [1] * 10)
    assert find_strategy("diverse-margin")(candidates, 2, seeded()).tolist() == [0, 1]
    assert find_strategy("diverse-margin")(candidates, 3, seeded()).tolist()[:2] == [0, 20]


def test_where_clusters_are_fewer_than_picks_the_best_left_fill_the_batch():
    candidates = in_three_kinds([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 0])
    assert find_strategy("diverse-margin")(candidates, 4, seeded()).tolist() == [0, 2, 1, 3]


def test_the_clusters_that_the_batch_has_one_of_come_last():
    candidates = in_three_kinds([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0, 0, 0, 1, 1, 2])
    parts = ["a", "b", "c", "a", "d", "a"]  # 3 and 5 show the part of 0
    assert choose_batch(find_strategy("diverse-margin"), candidates, parts, 3, seeded()) == [
        0,
        4,
        1,
    ]


def test_what_ranks_is_asked_once_a_batch():
    asked = []

    @needing("embeddings_N_F", ranks=True)
    def counting(candidates, size, generator):
        """Count."""
        asked.append(size)
        return torch.arange(size)

    candidates = in_three_kinds([0.1] * 6, [0, 0, 0, 1, 1, 2])
    batch = choose_batch(diverse("it", counting), candidates, list("aaaabc"), 4, seeded())
    assert len(set(batch)) == 4
    assert asked == [6]


def test_it_needs_what_is_ranked_by_and_the_features():
    assert needs_of(find_strategy("diverse-bald")) == ("probs_N_K_C", "embeddings_N_F")
    assert needs_of(find_strategy("diverse-random")) == ("embeddings_N_F",)
    assert wants_members(find_strategy("diverse-ensemble"))
    assert not wants_members(find_strategy("diverse-bald"))


@pytest.mark.parametrize("name", ["badge", "coreset", "batchbald", "diverse-bald"])
def test_what_does_not_rank_cannot_be_spread(name):
    with pytest.raises(DataError, match=f"diverse-{name}: only a strategy that scores"):
        find_strategy(f"diverse-{name}")


def test_it_spreads_a_strategy_of_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "my_ranking.py").write_text(
        "def first(candidates, size, generator):\n"
        "    return range(size)\n"
        "first.needs = ()\n"
        "first.ranks = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    candidates = in_three_kinds([0.5] * 4, [0, 0, 1, 2])
    assert choose_batch(
        find_strategy("diverse-my_ranking:first"), candidates, list("abcd"), 3, seeded()
    ) == [0, 2, 3]
