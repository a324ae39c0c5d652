from dataclasses import replace

import pytest
import torch
from torch import nn

from models.evaluation.operating_point import OperatingPoint
from models.images import Preprocessing
from models.network.mc_dropout import pass_masks, posterior
from models.network.network import Network
from models.network.spec import NetworkSpec
from models.network.standardise import Standardisation
from models.prediction.predictor import Predictor
from models.registry import version_folder
from tests.models.network.networks import from_scratch, seeded, shaken

SPEC = NetworkSpec("resnet18", channels=1, classes=2)


def random_images(count=2):
    return torch.rand(count, 1, 32, 32, generator=seeded(5))


def standardised(network):
    shown = torch.randn(16, 1, 32, 32, generator=seeded(1))
    pooled = network.backbone(shown)
    network.standardisations[0] = Standardisation.of(pooled, [str(i // 2) for i in range(16)])
    return network


@pytest.fixture(scope="module")
def members():
    """Three networks of their own, each after another training."""
    made = [standardised(from_scratch(SPEC, seed)) for seed in range(3)]
    for number, network in enumerate(made):
        network.head.bias.copy_(torch.tensor([0.1, -0.2]) * number)
    return made


@pytest.fixture(scope="module")
def siblings(members):
    """Three heads on one backbone."""
    return [members[0].with_heads([member.head]) for member in members]


def predictor_of(network):
    return Predictor(network, Preprocessing(32, 1), ("def", "ok"), OperatingPoint("ok", 0.4, 1.5))


# --- one member ---------------------------------------------------------------------------------


def test_logits_are_the_head_on_standardised_pooled_stages(members):
    network = members[1]
    pooled = network.pooled(random_images())
    features = network.standardisation(network.backbone(random_images()))
    assert torch.equal(network.features(pooled), features)
    assert torch.equal(network(random_images()), network.head(features))
    assert features.shape == (2, network.pooled_count)


def test_its_plain_head_is_its_head_and_its_pass_heads_are_masked_ones(members):
    network = members[1]
    (weight,), (bias,) = network.plain_heads()
    assert torch.equal(weight, network.head.weight)
    assert torch.equal(bias, network.head.bias)
    weight_K_C_F, bias_K_C = network.pass_heads(4, seed=3)
    masks = pass_masks(4, network.pooled_count, 0.5, 3)
    for k in range(4):
        assert torch.equal(weight_K_C_F[k], network.head.weight * masks[k])
        assert torch.equal(bias_K_C[k], network.head.bias)


def test_a_network_for_inference_has_the_same_heads_on_twins(members):
    network = shaken(from_scratch(SPEC))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    twin = network.for_inference()
    assert twin.head is network.head
    assert twin.backbone is not network.backbone
    assert twin.for_inference().backbone is twin.backbone
    assert twin.precision == twin.backbone.precision
    assert not any(isinstance(module, nn.BatchNorm2d) for module in twin.modules())
    torch.testing.assert_close(dict(network.state_dict()), before)


def test_other_heads_and_other_backbones_leave_the_network_as_it_was(members):
    network, other = members[:2]
    head, backbone = network.head, network.backbone
    twin = network.with_heads([other.head]).on(other.backbones)
    assert (twin.head, twin.backbone) == (other.head, other.backbone)
    assert (network.head, network.backbone) == (head, backbone)
    assert twin.standardisation is network.standardisation


# --- of several members -------------------------------------------------------------------------


def test_members_that_share_a_backbone_run_it_once(members, siblings):
    together, apart = Network.of_members(siblings), Network.of_members(members)
    assert (together.spec.members, together.spec.backbones) == (3, 1)
    assert (apart.spec.members, apart.spec.backbones) == (3, 3)
    assert together.pooled_count == members[0].pooled_count
    assert apart.pooled_count == 3 * members[0].pooled_count
    assert together.backbone is members[0].backbone
    assert not together.training


@pytest.mark.parametrize("kind", ["members", "siblings"])
@pytest.mark.usefixtures("in_fp32")
def test_the_passes_of_an_ensemble_are_its_members_whatever_is_asked_for(kind, pixels, request):
    alone = request.getfixturevalue(kind)
    together = predictor_of(Network.of_members(alone)).score(pixels[:9], passes=50, seed=1)
    assert together.probs_N_K_C.shape == (9, 3, 2)
    wanted = [predictor_of(m).score(pixels[:9], 1, 0).deterministic_N_C for m in alone]
    torch.testing.assert_close(together.probs_N_K_C, torch.stack(wanted, 1), atol=1e-6, rtol=0)
    assert (together.probs_N_K_C.std(dim=1) > 1e-3).any()  # else this compares nothing
    torch.testing.assert_close(together.deterministic_N_C, together.probs_N_K_C.mean(dim=1))


@pytest.mark.parametrize("kind", ["members", "siblings"])
def test_the_numbers_of_an_ensemble_do_not_depend_on_the_minibatch(kind, pixels, request):
    predictor = predictor_of(Network.of_members(request.getfixturevalue(kind)))
    whole = predictor.score(pixels[:20], 5, 0).probs_N_K_C
    single = torch.cat([predictor.score(pixels[i : i + 1], 5, 0).probs_N_K_C for i in range(3)])
    torch.testing.assert_close(whole[:3], single, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["members", "siblings"])
def test_an_ensemble_is_kept_as_one_version(kind, pixels, tmp_path, request):
    predictor = predictor_of(Network.of_members(request.getfixturevalue(kind)))
    version_folder.write(predictor, pixels, tmp_path / "version")
    read = version_folder.read(tmp_path / "version")
    assert read.network.spec == predictor.network.spec
    of_read, wanted = (p.score(pixels[:5], 9, 0).probs_N_K_C for p in (read, predictor))
    torch.testing.assert_close(of_read, wanted, atol=1e-6, rtol=0)


def test_features_of_several_backbones_lie_side_by_side(members):
    together = Network.of_members(members)
    features = together.features(together.pooled(random_images()))
    alone = [m.features(m.pooled(random_images())) for m in members]
    assert torch.equal(features, torch.cat(alone, dim=1))
    probs = posterior(features, *together.plain_heads())
    for k, (member, own) in enumerate(zip(members, alone, strict=True)):
        (expected,) = posterior(own, *member.plain_heads()).unbind(1)
        torch.testing.assert_close(probs[:, k], expected, atol=1e-9, rtol=0)


def test_a_spec_says_what_a_network_has():
    with torch.device("meta"):
        network = Network(replace(SPEC, members=5, backbones=1, classes=3))
    assert (len(network.heads), len(network.backbones)) == (5, 1)
    assert network.head.out_features == 3
