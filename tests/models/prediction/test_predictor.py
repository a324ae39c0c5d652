import json
import math
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from models import uncertainty
from models.evaluation.operating_point import OperatingPoint
from models.images import normalise
from models.network.device import use_threads
from models.network.mc_dropout import pass_masks
from models.network.network import Network
from models.prediction.predictor import MINIBATCH, Predictor, Scores

FIELDS = [
    "casting",
    "label",
    "probabilities",
    "entropy",
    "least_confidence",
    "margin",
    "mc_probabilities",
    "predictive_entropy",
    "expected_entropy",
    "bald",
    "bald_standard_error",
    "variation_ratio",
]


def doubles(values):
    return torch.tensor(values, dtype=torch.float64)


def whole_and_chunked(predictor, pixels, size):
    """The scores of some castings among all seventy, and in chunks of their own."""
    count = 10 if size == 1 else len(pixels)
    whole = predictor.score(pixels, 5, 1)
    parts = [predictor.score(chunk, 5, 1) for chunk in pixels[:count].split(size)]
    names = ("embeddings_N_F", "deterministic_N_C", "probs_N_K_C")
    return (
        Scores(*(getattr(whole, name)[:count] for name in names)),
        Scores(*(torch.cat([getattr(part, name) for part in parts]) for name in names)),
    )


# --- one computation, whatever the circumstances ------------------------------------------------


@pytest.mark.parametrize("name", ["bf16"])
@pytest.mark.parametrize("size", [1, 7, MINIBATCH + 1])
def test_a_casting_has_the_same_bits_in_any_chunk(predictor, pixels, size, compute_in, name):
    compute_in(name)
    assert predictor.precision == name
    whole, parts = whole_and_chunked(predictor, pixels, size)
    assert torch.equal(parts.embeddings_N_F, whole.embeddings_N_F)
    torch.testing.assert_close(parts.probs_N_K_C, whole.probs_N_K_C, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["bf16"])
def test_a_casting_has_the_same_bits_in_any_order_and_number_of_threads(
    predictor, pixels, compute_in, name
):
    compute_in(name)
    backwards = predictor.embed(pixels.flip(0)).flip(0)
    assert torch.equal(backwards, predictor.embed(pixels))
    with ThreadPoolExecutor(1, "", use_threads, (3,)) as other:
        elsewhere = other.submit(predictor.embed, pixels).result()
    assert torch.equal(elsewhere, predictor.embed(pixels))


@pytest.mark.usefixtures("in_fp32")
@pytest.mark.parametrize("size", [1, 7, MINIBATCH + 1])
def test_in_fp32_a_casting_has_the_same_numbers_in_any_chunk(predictor, pixels, size):
    whole, parts = whole_and_chunked(predictor, pixels, size)
    torch.testing.assert_close(parts.deterministic_N_C, whole.deterministic_N_C, atol=1e-5, rtol=0)
    torch.testing.assert_close(parts.probs_N_K_C, whole.probs_N_K_C, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("in_fp32")
def test_in_fp32_a_casting_has_the_same_numbers_in_any_order(predictor, pixels):
    backwards = predictor.score(pixels.flip(0), 5, 1).probs_N_K_C.flip(0)
    torch.testing.assert_close(
        backwards, predictor.score(pixels, 5, 1).probs_N_K_C, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("name", ["bf16"])
def test_fewer_bits_than_in_fp32_make_a_hundredth_at_most(predictor, pixels, compute_in, name):
    compute_in(name)
    rough = predictor.score(pixels[:16], 5, 1).probs_N_K_C
    compute_in("fp32")
    exact = predictor.score(pixels[:16], 5, 1).probs_N_K_C
    assert 0 < (rough - exact).abs().max().item() <= 0.01


@pytest.mark.parametrize("name", ["bf16", "fp32"])
def test_the_precision_told_is_that_of_the_backbone(predictor, compute_in, name):
    compute_in(name)
    assert predictor.precision == name


def test_a_client_that_sends_nothing_gets_nothing(predictor):
    results = predictor.score(torch.empty(0, 1, 32, 32, dtype=torch.uint8), 5, 0)
    assert results.embeddings_N_F.shape == (0, predictor.network.pooled_count)
    assert results.deterministic_N_C.shape == (0, 2)
    assert results.probs_N_K_C.shape == (0, 5, 2)
    assert predictor.answers([], results) == []


def test_scoring_stored_embeddings_is_scoring_the_pixels(predictor, pixels):
    whole = predictor.score(pixels[:5], 9, 3)
    again = predictor.score_embeddings(whole.embeddings_N_F, 9, 3)
    assert torch.equal(again.probs_N_K_C, whole.probs_N_K_C)
    assert torch.equal(again.deterministic_N_C, whole.deterministic_N_C)


def test_scoring_kept_stages_is_scoring_the_pixels(predictor, pixels):
    pooled = predictor.pool(pixels[:5])
    assert pooled.shape == (5, predictor.network.pooled_count)
    assert torch.equal(predictor.features(pooled), predictor.embed(pixels[:5]))


def test_a_space_is_shared_by_heads_and_by_nothing_that_pools_otherwise(make_predictor):
    first, again = make_predictor(), make_predictor(operating=OperatingPoint("ok", 0.9, 2.0))
    again.network.head.weight.add_(1)
    assert first.space == again.space
    others = [
        make_predictor(seed=1),
        make_predictor(channels=3),
        replace(first, preprocessing=replace(first.preprocessing, size=64)),
        replace(first, preprocessing=replace(first.preprocessing, mean=(0.5,))),
        replace(first, network=Network.of_members([first.network, make_predictor().network])),
    ]
    spaces = {first.space, *(other.space for other in others)}
    assert len(spaces) == 6
    assert all(re.fullmatch("[0-9a-f]{64}", space) for space in spaces)


@pytest.mark.parametrize("names", [("fp32", "bf16")])
def test_a_space_is_of_one_precision(predictor, compute_in, names):
    spaces = set()
    for name in names:
        compute_in(name)
        spaces.add(replace(predictor).space)
    assert len(spaces) == 2


def test_passes_and_seed_move_the_posterior_and_never_the_verdict(predictor, pixels):
    first, other = predictor.score(pixels[:8], 4, 0), predictor.score(pixels[:8], 6, 1)
    assert torch.equal(first.deterministic_N_C, other.deterministic_N_C)
    assert not torch.equal(first.probs_N_K_C[:, 0], other.probs_N_K_C[:, 0])


def test_scoring_writes_into_nothing_and_draws_from_no_global_generator(predictor, pixels):
    before = pixels.clone(), torch.get_rng_state()
    weights = {key: value.clone() for key, value in predictor.network.state_dict().items()}
    predictor.score(pixels[:3], 3, 0)
    assert torch.equal(pixels, before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    for key, value in predictor.network.state_dict().items():
        assert torch.equal(value, weights[key]), key


# --- answers ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answered(predictor, pixels):
    results = predictor.score(pixels[:6], 7, 2)
    return results, predictor.answers([f"id-{i}" for i in range(6)], results)


def test_an_answer_has_the_fields_of_the_interface_in_its_order(answered):
    assert all(list(answer) == FIELDS for answer in answered[1])


def test_an_answer_is_json_without_nan(answered):
    assert json.loads(json.dumps(answered[1], allow_nan=False)) == answered[1]


def test_answers_come_in_the_order_sent_with_the_ids_given(answered):
    assert [answer["casting"] for answer in answered[1]] == [f"id-{i}" for i in range(6)]


def test_probabilities_are_by_class_name_in_the_order_of_the_classes(answered):
    results, answers = answered
    for row, answer in enumerate(answers):
        assert list(answer["probabilities"]) == list(answer["mc_probabilities"]) == ["def", "ok"]
        assert list(answer["probabilities"].values()) == results.deterministic_N_C[row].tolist()
        assert sum(answer["mc_probabilities"].values()) == pytest.approx(1)


def test_the_numbers_are_those_of_the_score_functions(answered):
    results, answers = answered
    for name, values in {
        "entropy": uncertainty.entropy(results.deterministic_N_C),
        "least_confidence": uncertainty.least_confidence(results.deterministic_N_C),
        "margin": uncertainty.margin(results.deterministic_N_C),
        "predictive_entropy": uncertainty.predictive_entropy(results.probs_N_K_C),
        "expected_entropy": uncertainty.expected_entropy(results.probs_N_K_C),
        "bald": uncertainty.bald(results.probs_N_K_C),
        "bald_standard_error": uncertainty.bald_standard_error(results.probs_N_K_C),
        "variation_ratio": uncertainty.variation_ratio(results.probs_N_K_C),
    }.items():
        assert [answer[name] for answer in answers] == values.tolist(), name


def test_an_answers_entropies_follow_from_its_own_probabilities(answered):
    def entropy(probabilities):
        return -sum(p * math.log(p) for p in probabilities.values())

    for answer in answered[1]:
        assert answer["entropy"] == pytest.approx(entropy(answer["probabilities"]))
        assert answer["predictive_entropy"] == pytest.approx(entropy(answer["mc_probabilities"]))
        gap = answer["predictive_entropy"] - answer["expected_entropy"]
        assert answer["bald"] == pytest.approx(gap)
        assert answer["bald"] > 0
        assert answer["margin"] == pytest.approx(1 - 2 * answer["least_confidence"])


def test_of_a_single_pass_the_standard_error_is_null(predictor, pixels):
    (answer,) = predictor.answers(["x"], predictor.score(pixels[:1], 1, 0))
    assert answer["bald_standard_error"] is None
    assert answer["bald"] == pytest.approx(0, abs=1e-12)


def test_labels_are_verdicts_at_the_models_own_threshold(predictor, pixels):
    results = predictor.score(pixels, 1, 0)
    defect = results.deterministic_N_C[:, 0]
    cut = defect.median().item()
    strict = Predictor(
        predictor.network, predictor.preprocessing, ("def", "ok"), OperatingPoint("ok", cut, 1.5)
    )
    labels = [a["label"] for a in strict.answers([""] * len(pixels), results)]
    rejected = 1 - results.deterministic_N_C[:, 1] >= cut
    assert labels == ["def" if r else "ok" for r in rejected.tolist()]
    assert set(labels) == {"def", "ok"}


# --- independent oracles ------------------------------------------------------------------------


@pytest.mark.usefixtures("in_fp32")
def test_the_pass_without_dropout_is_the_softmax_of_the_networks_own_logits(predictor, pixels):
    network = predictor.network
    with torch.no_grad():
        logits = network(normalise(pixels[:6], predictor.preprocessing)).double()
    plain = predictor.score(pixels[:6], 1, 0).deterministic_N_C
    torch.testing.assert_close(plain, (logits / 1.5).softmax(dim=1), atol=1e-5, rtol=0)


def test_pass_k_is_the_head_on_the_features_that_mask_k_keeps(predictor, pixels):
    results = predictor.score(pixels[:3], 4, 8)
    masks = pass_masks(4, predictor.network.pooled_count, 0.5, 8)
    head = predictor.network.head
    with torch.no_grad():
        for k in range(4):
            kept = (results.embeddings_N_F * masks[k]).double()
            logits = kept @ head.weight.double().T + head.bias.double()
            wanted = (logits / 1.5).softmax(dim=1)
            torch.testing.assert_close(results.probs_N_K_C[:, k], wanted, atol=1e-12, rtol=0)
