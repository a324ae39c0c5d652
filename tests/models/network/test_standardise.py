"""What standardises pooled stages, beside numpy and by hand."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from models.network.standardise import DIRECTIONS, Standardisation
from tests.models.network.networks import seeded

STRENGTH = 1000


def pooled_of(parts, shots, features, nuisance=3.0, seed=0):
    """Parts that differ in every feature, their castings along one direction far more."""
    generator = seeded(seed)
    direction = torch.randn(features, generator=generator)
    direction /= direction.norm()
    of_part = torch.randn(parts, 1, features, generator=generator)
    along = nuisance * torch.randn(parts, shots, 1, generator=generator) * direction
    noise = 0.1 * torch.randn(parts, shots, features, generator=generator)
    names = [str(part) for part in range(parts) for _ in range(shots)]
    return (of_part + along + noise).flatten(0, 1) + 5, names, direction


# --- by hand ------------------------------------------------------------------------------------


def test_without_two_castings_of_a_part_it_is_the_standard_score():
    pooled = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    made = Standardisation.of(pooled, ["a", "b"])
    assert not made.shrunk_R.any()
    torch.testing.assert_close(made(pooled), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    torch.testing.assert_close(made(torch.tensor([[5.0, 20.0]])), torch.tensor([[3.0, 0.0]]))


def test_a_feature_that_is_the_same_everywhere_is_taken_for_nothing():
    pooled = torch.tensor([[1.0, 7.0], [3.0, 7.0]])
    made = Standardisation.of(pooled, ["a", "b"])
    assert made(torch.tensor([[1.0, 1e6]]))[0, 1] == 0
    torch.testing.assert_close(made(pooled)[:, 0].square(), torch.tensor([2.0, 2.0]))


def test_what_tells_castings_of_a_part_apart_is_shrunk_and_what_tells_parts_apart_is_kept():
    pooled = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    features = Standardisation.of(pooled, ["a", "a", "b", "b"])(pooled)
    ratio = features[0, 1] / features[0, 0]
    assert ratio.item() == pytest.approx((1 + STRENGTH) ** -0.5, rel=1e-4)


def test_a_pool_of_one_casting_gives_numbers():
    made = Standardisation.of(torch.tensor([[1.0, 2.0]]), ["a"])
    assert torch.equal(made(torch.tensor([[1.0, 2.0], [5.0, 9.0]])), torch.zeros(2, 2))


# --- properties ---------------------------------------------------------------------------------


def test_features_have_a_mean_of_0_and_a_mean_square_of_1_over_the_pool():
    pooled, parts, _ = pooled_of(20, 3, 40)
    features = Standardisation.of(pooled, parts)(pooled)
    assert features.square().mean().item() == pytest.approx(1, rel=1e-4)
    assert features.mean(dim=0).abs().max() < 1e-4


def test_scale_and_offset_of_what_is_pooled_do_not_matter():
    pooled, parts, _ = pooled_of(20, 3, 40)
    scale, offset = torch.rand(40, generator=seeded(1)) + 0.1, torch.randn(40, generator=seeded(2))
    features = Standardisation.of(pooled, parts)(pooled)
    moved = pooled * scale + offset
    torch.testing.assert_close(
        Standardisation.of(moved, parts)(moved), features, atol=1e-3, rtol=1e-3
    )


def test_names_of_parts_and_the_order_of_the_pool_do_not_matter():
    pooled, parts, _ = pooled_of(20, 3, 40)
    features = Standardisation.of(pooled, parts)(pooled)
    order = torch.randperm(60, generator=seeded(1))
    renamed = [f"part {parts[int(i)]}" for i in order]
    shuffled = Standardisation.of(pooled[order], renamed)
    torch.testing.assert_close(shuffled(pooled), features, atol=1e-4, rtol=1e-3)


def test_no_more_directions_are_shrunk_than_there_is_room_for():
    pooled, parts, _ = pooled_of(150, 4, 300)
    made = Standardisation.of(pooled, parts)
    assert made.nuisance_R_F.shape == (DIRECTIONS, 300)
    assert (made.shrunk_R > 0).all()
    assert (made.shrunk_R < 1).all()
    identity = made.nuisance_R_F @ made.nuisance_R_F.T
    torch.testing.assert_close(identity, torch.eye(DIRECTIONS), atol=1e-5, rtol=0)


def test_a_casting_has_the_same_features_in_whatever_company():
    pooled, parts, _ = pooled_of(30, 3, 200)
    made = Standardisation.of(pooled, parts)
    alone = torch.cat([made(pooled[row : row + 1]) for row in range(20)])
    torch.testing.assert_close(alone, made(pooled)[:20], atol=1e-6, rtol=0)
    torch.testing.assert_close(made(pooled.flip(0)).flip(0), made(pooled), atol=1e-6, rtol=0)


def test_the_number_of_threads_does_not_matter():
    pooled, parts, _ = pooled_of(30, 3, 200)
    with threadpool_limits(limits=1):
        alone = Standardisation.of(pooled, parts).state_dict()
    with threadpool_limits(limits=3):
        three = Standardisation.of(pooled, parts).state_dict()
    assert all(torch.equal(alone[name], three[name]) for name in alone)


# --- independent oracles ------------------------------------------------------------------------


@pytest.mark.parametrize("features", [12, 130, 200])
def test_it_is_within_class_covariance_normalisation(features):
    pooled, parts, _ = pooled_of(40, 3, features)
    z = pooled.double().numpy()
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    codes = np.array([int(part) for part in parts])
    within = z - np.stack([z[codes == code].mean(axis=0) for code in codes])
    scatter = within.T @ within
    largest = np.linalg.eigvalsh(scatter)[-1]
    values, vectors = np.linalg.eigh(np.eye(features) + STRENGTH * scatter / largest)
    whitened = z @ (vectors / np.sqrt(values)) @ vectors.T
    whitened /= np.sqrt((whitened**2).mean())
    features = Standardisation.of(pooled, parts)(pooled)
    np.testing.assert_allclose(features.numpy(), whitened, atol=1e-4)


def test_a_heads_weights_on_pooled_stages_give_its_logits_but_for_a_constant():
    pooled, parts, _ = pooled_of(30, 3, 50)
    made = Standardisation.of(pooled, parts)
    weight = torch.randn(3, 50, generator=seeded(3))
    logits = made(pooled) @ weight.T
    on_pooled = pooled @ made.on_pooled(weight).T
    constant = logits - on_pooled
    torch.testing.assert_close(constant, constant[:1].expand(90, -1), atol=1e-3, rtol=1e-3)
