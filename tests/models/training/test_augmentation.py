import math
from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.augmentation import augment
from models.training.recipe import Recipe

quick = settings(max_examples=25, deadline=None)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@quick
@given(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(0, 1000))
def test_an_augmented_minibatch_keeps_its_size_and_follows_from_its_generator(
    count, channels, seed
):
    images = torch.rand(count, channels, 16, 16, generator=seeded(seed))
    before = images.clone()
    first = augment(images, Recipe(), seeded(seed))
    assert first.shape == images.shape
    assert torch.equal(first, augment(images, Recipe(), seeded(seed)))
    assert torch.equal(images, before)


@quick
@given(st.integers(0, 1000))
def test_a_flat_casting_changes_in_brightness_and_contrast_only(seed):
    flat = torch.ones(5, 1, 16, 16)
    lit = augment(flat, Recipe(light=0.25), seeded(seed)).flatten(1)
    assert (lit.max(dim=1).values - lit.min(dim=1).values).max() < 1e-4
    assert lit.min() >= 0.5 - 1e-4
    assert lit.max() <= 1.5 + 1e-4
    assert len({round(value, 4) for value in lit[:, 0].tolist()}) > 1


def test_castings_are_turned_every_way_and_half_of_them_mirrored():
    # a dark casting with one bright and one half-bright spot: their order tells a mirror image
    image = torch.zeros(1, 1, 33, 33)
    image[..., 14:19, 26:31] = 1.0  # right
    image[..., 2:7, 14:19] = 0.5  # top: a quarter turn counterclockwise from it
    recipe = Recipe(upright=0, zoom=0, light=0)
    augmented = augment(image.expand(300, -1, -1, -1), recipe, seeded())[:, 0]
    rows, columns = torch.meshgrid(torch.arange(33) - 16.0, torch.arange(33) - 16.0, indexing="ij")

    def angle(weight):
        return torch.atan2(-(weight * rows).sum(dim=(1, 2)), (weight * columns).sum(dim=(1, 2)))

    bright, half = (augmented > 0.75).float(), ((augmented > 0.3) & (augmented < 0.6)).float()
    quarter = (angle(half) - angle(bright)).sin()
    mirrored = (quarter < 0).double().mean().item()
    assert 0.4 < mirrored < 0.6
    quadrants = torch.bincount(((angle(bright) + math.pi) / (math.pi / 2)).long().clamp(max=3))
    assert (quadrants > 45).all()


def test_an_upright_casting_is_turned_without_softening_a_pixel():
    images = torch.rand(40, 1, 16, 16, generator=seeded(3))
    augmented = augment(images, Recipe(upright=1, light=0), seeded())
    sharp = [image.flatten().sort().values for image in images]
    turned = [image.flatten().sort().values for image in augmented]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(sharp, turned, strict=True))
    moved = sum(
        not torch.allclose(a, b, atol=1e-4) for a, b in zip(images, augmented, strict=True)
    )
    assert moved > 20  # seven of eight poses differ from the one it had


def arrow_like():
    """Dark with a bright spot on top and a half-bright one on its right."""
    image = torch.zeros(1, 1, 33, 33)
    image[..., 2:7, 14:19] = 1.0
    image[..., 14:19, 26:31] = 0.5
    return image


def test_what_may_not_be_turned_stays_upright_and_what_may_not_be_mirrored_keeps_its_handedness():
    still = Recipe(light=0, zoom=0)
    many = arrow_like().expand(60, -1, -1, -1)
    left_right = arrow_like().flip(3)
    for turned, mirrored in ((False, False), (False, True), (True, False)):
        found = augment(many, replace(still, turned=turned, mirrored=mirrored), seeded())
        same, other = (
            (found - image).abs().flatten(1).max(dim=1).values < 1e-3
            for image in (arrow_like(), left_right)
        )
        if turned:
            assert not same.all()
            assert not other.any()
        else:
            assert bool((same | other).all())
            assert bool(other.any()) == mirrored
