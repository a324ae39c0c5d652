import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from jobs.datasets.synthetic.castings import draw_castings
from jobs.datasets.synthetic.spec import SyntheticSpec
from models.acquisition.candidates import Candidates
from models.acquisition.strategies import novelty as module
from models.acquisition.strategies.novelty import largest_residual, novelty


def alike(count, side=12, channels=1, patterns=3):
    """Images mixed from a few patterns, as those of one product are."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(patterns, channels, side, side, generator=generator)
    mixed = torch.rand(count, patterns, generator=generator)
    images = torch.einsum("np,pchw->nchw", mixed, drawn) / patterns
    noise = 0.02 * torch.rand(count, channels, side, side, generator=generator)
    return (255 * (images + noise).clamp(0, 1)).to(torch.uint8)


def chosen(images, size):
    candidates = Candidates(len(images), images=images, labelled_images=images[:0])
    return novelty(candidates, size, torch.Generator()).tolist()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_small_spot_comes_before_an_odd_exposure(channels):
    images = alike(200, channels=channels)
    images[7] += 12
    for row, spotted in enumerate((20, 90, 150)):
        images[spotted, :, 4 * row : 4 * row + 2, 4:6] = 250
    assert sorted(chosen(images, 3)) == [20, 90, 150]


@pytest.mark.parametrize("count", [40, 90])
def test_residuals_are_those_of_components_that_a_casting_had_no_part_in(count):
    """Scikit-learn's on the castings as they are, times the leverage of each by its scores."""
    images = alike(count)
    points = images.flatten(1).double().numpy() / 255
    pca = PCA(count // 5, svd_solver="full", whiten=True).fit(points)
    scores = pca.transform(points)
    leverage = (scores**2).sum(axis=1) / (count - 1)
    expected = np.abs(points - pca.inverse_transform(scores)).max(axis=1) / (1 - leverage)
    np.testing.assert_allclose(largest_residual(images).numpy(), expected, rtol=1e-9)


def test_a_defect_that_makes_a_component_of_its_own_is_found_all_the_same():
    images = alike(100)
    images[31, :, 2:8, 2:8] = 250
    points = images.flatten(1).double().numpy() / 255
    pca = PCA(20).fit(points)
    drawn = np.abs(points - pca.inverse_transform(pca.transform(points))).max(axis=1)
    assert drawn.argmax() != 31
    assert chosen(images, 1) == [31]


def test_of_a_large_pool_a_sample_says_what_is_usual(monkeypatch):
    images = alike(400)
    images[123, :, 2:4, 2:4] = 250
    monkeypatch.setattr(module, "_SAMPLE", 100)
    monkeypatch.setattr(module, "_CHUNK", 64)
    assert chosen(images, 1) == [123]


def test_few_castings_are_compared_with_their_mean():
    images = torch.full((4, 1, 8, 8), 100, dtype=torch.uint8)
    images[2] += 50
    assert chosen(images, 2) == [2, 0]
    assert chosen(images[:1], 1) == [0]


def test_rare_synthetic_defects_are_among_the_first():
    spec = SyntheticSpec(parts=400, shots=1, defect_share=0.02, size=32, seed=1)
    castings = list(draw_castings(spec))
    images = torch.stack([torch.from_numpy(c.image).reshape(1, 32, 32) for c in castings])
    defects = {i for i, casting in enumerate(castings) if casting.label != "ok"}
    seen_first = defects & set(chosen(images, 40))
    assert len(seen_first) >= len(defects) / 2  # by chance a tenth
