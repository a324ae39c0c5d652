import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.network.device import precision, use_threads
from models.network.mc_dropout import draw_masks, packed, pass_masks, posterior, posterior_of
from models.network.spec import NetworkSpec
from tests.models.network.networks import from_scratch

quick = settings(max_examples=30, deadline=None)


def some_head(castings, features, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.rand(castings, features, generator=generator) * 2,
        torch.randn(classes, features, generator=generator),
        torch.randn(classes, generator=generator),
    )


def dropped(weight, bias, masks):
    """The heads of passes that drop what their masks do."""
    return weight * masks.unsqueeze(1), bias.expand(len(masks), -1)


def bits_are_those_of(probs, expected):
    """What is promised where backbones run in bf16; elsewhere 1e-12 will do."""
    if precision(torch.device("cpu")) == "bf16":
        return torch.equal(probs, expected)
    return torch.allclose(probs, expected, atol=1e-12, rtol=0)


# --- worked by hand -----------------------------------------------------------------------------


def test_two_features_two_passes_by_hand():
    features = torch.tensor([[1.0, 2.0]])
    weight, bias = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.0, 0.5])
    masks = torch.tensor([[2.0, 0.0], [0.0, 2.0]])  # logits (2, 0.5), then (0, 4.5)
    probs = posterior(features, *dropped(weight, bias, masks))
    assert probs.shape == (1, 2, 2)
    assert probs[0, 0, 0].item() == pytest.approx(1 / (1 + math.exp(-1.5)))
    assert probs[0, 1, 1].item() == pytest.approx(1 / (1 + math.exp(-4.5)))


def test_temperature_divides_the_logits():
    features, weight, bias = torch.ones(1, 1), torch.tensor([[3.0], [1.0]]), torch.zeros(2)
    expected = 1 / (1 + math.exp(-2.0 / 4))
    masked = posterior(features, *dropped(weight, bias, torch.ones(1, 1)), 4.0)
    assert masked[0, 0, 0].item() == pytest.approx(expected)


def test_a_mask_drops_or_scales_up_and_nothing_between():
    masks = draw_masks(20, 50, 0.75, torch.Generator().manual_seed(0))
    assert sorted(masks.unique().tolist()) == [0.0, 4.0]


def test_without_dropout_every_mask_is_one():
    assert torch.equal(pass_masks(3, 5, 0.0, 0), torch.ones(3, 5))


def test_the_mean_of_the_masks_is_about_one():
    masks = pass_masks(200, 512, 0.5, 0)
    assert masks.mean().item() == pytest.approx(1, abs=4 / math.sqrt(200 * 512))
    assert (masks.mean(dim=0) - 1).abs().max().item() < 5 / math.sqrt(200)


def test_numbers_come_in_float64_from_float32_features():
    features, weight, bias = some_head(2, 4, 2)
    heads = dropped(weight, bias, pass_masks(3, 4, 0.5, 0))
    assert posterior(features, *heads).dtype == torch.float64


def test_no_castings_give_an_empty_posterior():
    _, weight, bias = some_head(1, 4, 3)
    heads = dropped(weight, bias, pass_masks(5, 4, 0.5, 0))
    assert posterior(torch.empty(0, 4), *heads).shape == (0, 5, 3)


def test_the_largest_seed_that_a_client_may_send_is_a_seed():
    assert pass_masks(1, 4, 0.5, 2**63 - 1).shape == (1, 4)


# --- properties ---------------------------------------------------------------------------------


@quick
@given(st.integers(0, 2**63 - 1))
def test_masks_are_a_function_of_the_seed_alone(seed):
    first = pass_masks(4, 64, 0.5, seed)
    torch.rand(3)  # whatever else draws from the global generator
    assert torch.equal(first, pass_masks(4, 64, 0.5, seed))


@quick
@given(st.integers(0, 2**62))
def test_another_seed_gives_other_masks_and_passes_differ_among_themselves(seed):
    masks = pass_masks(6, 256, 0.5, seed)
    assert not torch.equal(masks, pass_masks(6, 256, 0.5, seed + 1))
    assert len({tuple(row) for row in masks.tolist()}) == 6


def test_drawing_masks_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    pass_masks(5, 16, 0.5, 3)
    assert torch.equal(torch.get_rng_state(), before)


@quick
@given(st.integers(2, 40), st.integers(1, 9), st.integers(0, 1000))
def test_a_casting_has_the_same_numbers_in_any_chunk_and_order(castings, size, seed):
    threads = torch.get_num_threads()
    features, weight, bias = some_head(castings, 512, 3, seed)
    heads = dropped(weight, bias, pass_masks(1 + seed % 60, 512, 0.5, seed))
    whole = posterior(features, *heads)
    chunks = [posterior(chunk, *heads) for chunk in features.split(size)]
    backwards = posterior(features.flip(0), *heads).flip(0)
    use_threads(1 + seed % 2)
    again = posterior(features, *heads)
    use_threads(threads)
    for probs in (torch.cat(chunks), backwards, again):
        assert bits_are_those_of(probs, whole)


@quick
@given(st.integers(1, 4), st.integers(2, 4))
def test_each_pass_is_a_distribution_over_classes(castings, classes):
    features, weight, bias = some_head(castings, 32, classes)
    probs = posterior(features, *dropped(weight, bias, pass_masks(5, 32, 0.5, 1)))
    assert (probs >= 0).all()
    torch.testing.assert_close(probs.sum(dim=-1), torch.ones(castings, 5, dtype=torch.float64))


def test_inputs_are_never_written_to():
    features, weight, bias = some_head(3, 8, 2)
    inputs = [features, *dropped(weight, bias, pass_masks(4, 8, 0.5, 0))]
    before = [tensor.clone() for tensor in inputs]
    posterior(*inputs, temperature=2.0)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))


# --- independent oracles ------------------------------------------------------------------------


@quick
@given(st.integers(1, 4), st.integers(1, 5), st.integers(2, 4), st.integers(0, 1000))
def test_the_flat_product_is_mask_by_mask_a_forward_of_the_masked_head(
    castings, passes, classes, seed
):
    features, weight, bias = some_head(castings, 48, classes, seed)
    masks = pass_masks(passes, 48, 0.5, seed)
    head = nn.Linear(48, classes).double()
    head.load_state_dict({"weight": weight, "bias": bias})
    flat = posterior(features, *dropped(weight, bias, masks))
    with torch.no_grad():
        for n in range(castings):
            for k in range(passes):
                one = head((features[n] * masks[k]).double()).softmax(dim=-1)
                torch.testing.assert_close(flat[n, k], one, atol=1e-12, rtol=0)


def test_a_mask_of_ones_gives_the_pass_without_dropout():
    features, weight, bias = some_head(3, 16, 2)
    plain = (features.double() @ weight.double().T + bias.double()).softmax(dim=-1)
    masked = posterior(features, *dropped(weight, bias, torch.ones(1, 16)))[:, 0]
    torch.testing.assert_close(masked, plain, atol=1e-12, rtol=0)


def test_heads_that_differ_in_all_give_each_pass_its_own():
    features, _, _ = some_head(5, 16, 3)
    heads = [some_head(1, 16, 3, seed)[1:] for seed in range(4)]
    weight_K_C_F, bias_K_C = (torch.stack(column) for column in zip(*heads, strict=True))
    probs = posterior(features, weight_K_C_F, bias_K_C, 2.0)
    again = posterior_of(features, packed(weight_K_C_F), bias_K_C, 2.0)
    assert torch.equal(again, probs)
    for k, (weight, bias) in enumerate(heads):
        logits = features.double() @ weight.double().T + bias.double()
        alone = (logits / 2).softmax(dim=-1)
        torch.testing.assert_close(probs[:, k], alone, atol=1e-12, rtol=0)


@pytest.mark.usefixtures("in_fp32")
def test_passes_are_distributed_as_those_of_a_network_whose_dropout_is_switched_on():
    passes, castings = 250, 2
    network = from_scratch(NetworkSpec("resnet18", 1, 3), seed=1)
    dropout = nn.Dropout(0.5)
    whole = nn.Sequential(network.backbone, network.standardisation, dropout, network.head).eval()
    dropout.train()  # and batch norm is left in eval
    images = torch.rand(castings, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.random.fork_rng(), torch.no_grad():
        torch.default_generator.manual_seed(3)
        genuine = [whole(images.repeat(25, 1, 1, 1)).softmax(dim=-1) for _ in range(passes // 25)]
    features = network.features(network.pooled(images))
    ours = posterior(features, *network.pass_heads(passes, seed=4))
    theirs = torch.cat(genuine).double().unflatten(0, (-1, castings)).transpose(0, 1)
    assert theirs.shape == ours.shape
    spread = (ours.var(dim=1) + theirs.var(dim=1)).div(passes).sqrt()
    assert (spread > 1e-4).all()  # the passes do differ, else this compares nothing
    assert ((ours.mean(dim=1) - theirs.mean(dim=1)).abs() < 4 * spread).all()
    ratio = ours.std(dim=1) / theirs.std(dim=1)
    assert ((ratio > 0.75) & (ratio < 1.33)).all()


# --- goldens ------------------------------------------------------------------------------------


def test_seed_0_draws_the_masks_that_stored_goldens_rely_on():
    masks = pass_masks(2, 8, 0.5, 0)
    assert masks.tolist() == GOLDEN


GOLDEN = [[0.0, 2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 2.0], [0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]]
