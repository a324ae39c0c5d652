from dataclasses import replace

import pytest
import torch

from models.acquisition.candidates import Candidates
from models.acquisition.selection import choose_batch
from models.acquisition.strategies.table import find_strategy
from models.acquisition.strategies.vaal import steps_for, vaal
from models.acquisition.strategy_checks import random_candidates
from models.errors import DataError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def bright_or_dark(bright, side=16, channels=1):
    """Images bright on one half, on the left or on the right."""
    images = torch.randint(
        60, (len(bright), channels, side, side), dtype=torch.uint8, generator=seeded()
    )
    for image, left in zip(images, bright, strict=True):
        half = slice(None, side // 2) if left else slice(side // 2, None)
        image[..., half] += 150
    return images


def test_castings_unlike_all_that_is_labelled_come_first():
    pool = [i % 6 == 0 for i in range(120)]
    candidates = Candidates(
        120, images=bright_or_dark(pool), labelled_images=bright_or_dark([False] * 40)
    )
    batch = vaal(candidates, 20, seeded()).tolist()
    assert sorted(batch) == [i for i in range(120) if pool[i]]


def test_colour_and_any_size_will_do():
    candidates = Candidates(
        3,
        images=bright_or_dark([True, False, True], side=40, channels=3),
        labelled_images=bright_or_dark([True], side=40, channels=3),
    )
    assert sorted(vaal(candidates, 3, seeded()).tolist()) == [0, 1, 2]


def test_with_nothing_labelled_it_names_strategies_that_start_cold():
    candidates = random_candidates(4)
    with pytest.raises(DataError, match="of which there are 0; start cold with typiclust"):
        vaal(replace(candidates, labelled_images=candidates.labelled_images[:0]), 2, seeded())


@pytest.mark.parametrize("name", ["vaal", "diverse-vaal"])
def test_it_is_trained_once_a_batch_however_often_parts_collide(name):
    told = []
    parts = ["one"] * 9 + ["two", "three"]
    candidates = random_candidates(11)
    batch = choose_batch(
        find_strategy(name),
        candidates,
        parts,
        5,
        seeded(),
        on_step=lambda *step: told.append(step),
    )
    assert len(set(batch)) == 5
    steps = steps_for(11 + 7)
    assert [step for step, _, _ in told] == list(range(1, steps + 1))
    assert {of for _, of, _ in told} == {steps}
    assert all(loss >= 0 for _, _, loss in told)
