import pytest
import torch

from models.evaluation.operating_point import OperatingPoint
from models.images import Preprocessing
from models.network.ensemble import Ensemble, blank
from models.network.network import Network
from models.network.spec import NetworkSpec
from models.network.weights import build
from models.prediction.predictor import Predictor
from models.registry import version_folder

SPEC = NetworkSpec("resnet18", channels=1, classes=2)


@pytest.fixture(scope="module")
def members():
    made = [build(SPEC, "scratch", torch.Generator().manual_seed(s)).eval() for s in range(3)]
    for number, network in enumerate(made):
        with torch.no_grad():
            network.head.weight.mul_(0.2)
            network.head.bias.copy_(torch.tensor([0.1, -0.2]) * number)
    return made


def predictor_of(network):
    return Predictor(network, Preprocessing(32, 1), ("def", "ok"), OperatingPoint("ok", 0.4, 1.5))


def test_its_passes_are_its_members_whatever_the_client_asks_for(members, pixels):
    together = predictor_of(Ensemble.of(members)).score(pixels[:9], passes=50, seed=1)
    alone = [predictor_of(m).score(pixels[:9], 1, 0).deterministic_N_C for m in members]
    assert together.probs_N_K_C.shape == (9, 3, 2)
    torch.testing.assert_close(together.probs_N_K_C, torch.stack(alone, 1), atol=1e-6, rtol=0)


def test_its_verdict_is_the_mean_of_its_members(members, pixels):
    results = predictor_of(Ensemble.of(members)).score(pixels[:9], 5, 0)
    assert torch.equal(results.deterministic_N_C, results.probs_N_K_C.mean(dim=1))


def test_its_numbers_do_not_depend_on_the_minibatch(members, pixels):
    predictor = predictor_of(Ensemble.of(members))
    whole = predictor.score(pixels, 5, 0).probs_N_K_C
    single = torch.cat([predictor.score(pixels[i : i + 1], 5, 0).probs_N_K_C for i in range(3)])
    torch.testing.assert_close(whole[:3], single, atol=1e-5, rtol=0)


def test_it_is_kept_as_one_version(members, pixels, tmp_path):
    predictor = predictor_of(Ensemble.of(members))
    version_folder.write(predictor, pixels, tmp_path / "version")
    read = version_folder.read(tmp_path / "version")
    assert read.network.spec.members == 3
    of_read, wanted = (p.score(pixels[:5], 9, 0).probs_N_K_C for p in (read, predictor))
    torch.testing.assert_close(of_read, wanted, atol=1e-6, rtol=0)


def test_a_spec_of_one_member_is_a_network(members):
    with torch.device("meta"):
        assert isinstance(blank(SPEC), Network)
        assert isinstance(blank(Ensemble.of(members).spec), Ensemble)
