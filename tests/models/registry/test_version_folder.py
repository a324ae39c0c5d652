import gc
from dataclasses import replace
from weakref import WeakValueDictionary

import pytest
import torch
from safetensors.torch import load_file

from models.errors import VersionError
from models.evaluation.operating_point import OperatingPoint
from models.registry import version_folder
from tests.models.network.networks import seeded
from tests.models.registry.versions import described, restored

FILES = {"model.json", "backbone.safetensors", "head.safetensors", "golden.safetensors"}


# --- round trip ---------------------------------------------------------------------------------


def test_a_version_read_again_gives_the_same_numbers(predictor, pixels, written):
    again = version_folder.read(written)
    assert again.classes == predictor.classes
    assert again.operating == predictor.operating
    assert again.preprocessing == predictor.preprocessing
    assert again.network.spec == predictor.network.spec
    read, wanted = (p.score(pixels[:10], 6, 4) for p in (again, predictor))
    assert torch.equal(read.embeddings_N_F, wanted.embeddings_N_F)
    assert torch.equal(read.probs_N_K_C, wanted.probs_N_K_C)


def test_a_network_comes_back_in_eval_mode(written):
    assert not any(m.training for m in version_folder.read(written).network.modules())


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("Größe", "ok/2", "ok 3", "x")])
def test_any_number_and_spelling_of_classes_comes_back_in_order(
    make_predictor, pixels, tmp_path, classes
):
    version_folder.write(make_predictor(classes, operating=OperatingPoint(None)), pixels, tmp_path)
    again = version_folder.read(tmp_path)
    assert again.classes == classes
    assert again.operating.good is None


def test_a_colour_version_comes_back(make_predictor, tmp_path):
    golden = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    version_folder.write(make_predictor(channels=3), golden, tmp_path)
    assert version_folder.read(tmp_path).preprocessing.channels == 3


def test_a_version_is_json_and_safetensors_that_others_may_read(written):
    files = list(written.iterdir())
    assert {file.name for file in files} == FILES
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in files)


def test_at_most_eight_castings_travel_along(written, pixels):
    golden = load_file(written / "golden.safetensors")["pixels"]
    assert torch.equal(golden, pixels[:8])


def test_one_golden_casting_is_enough_and_none_too_few(predictor, pixels, tmp_path):
    version_folder.write(predictor, pixels[:1], tmp_path / "one")
    version_folder.read(tmp_path / "one")
    with pytest.raises(VersionError, match="at least 1"):
        version_folder.write(predictor, pixels[:0], tmp_path / "none")


def test_writing_leaves_the_predictor_and_reading_the_global_generator_alone(
    predictor, pixels, tmp_path
):
    before = torch.get_rng_state()
    numbers = predictor.score(pixels[:2], 3, 0).probs_N_K_C
    version_folder.write(predictor, pixels, tmp_path)
    version_folder.read(tmp_path)
    assert torch.equal(predictor.score(pixels[:2], 3, 0).probs_N_K_C, numbers)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_it_was_begun_from_is_noted(predictor, pixels, tmp_path):
    begun = replace(predictor, start={"name": "surface", "sha256": "ab" * 32})
    version_folder.write(begun, pixels, tmp_path)
    assert version_folder.read(tmp_path).start == begun.start


# --- versions that share a backbone -------------------------------------------------------------


@pytest.fixture
def of_a_round(predictor, pixels, tmp_path):
    """Writes a version with a head of its own on the same backbone."""

    def write(number):
        head = torch.nn.Linear(predictor.network.pooled_count, 2, device="meta")
        torch.nn.Module.to_empty(head, device="cpu")
        torch.nn.init.normal_(head.weight, std=0.02, generator=seeded(number))
        torch.nn.init.zeros_(head.bias)
        made = replace(predictor, network=predictor.network.with_heads([head]))
        version_folder.write(made, pixels, tmp_path / str(number))
        return made, tmp_path / str(number)

    return write


def test_versions_of_one_backbone_share_it_and_keep_heads_of_their_own(of_a_round, pixels):
    backbones = WeakValueDictionary()
    rounds = [of_a_round(number) for number in range(2)]
    read = [version_folder.read(folder, backbones) for _, folder in rounds]
    assert read[0].network.backbone is read[1].network.backbone
    assert read[0].space == read[1].space
    assert len(backbones) == 1
    for (made, folder), found in zip(rounds, read, strict=True):
        wanted, alone = (p.score(pixels[:9], 4, 1) for p in (made, version_folder.read(folder)))
        scores = found.score(pixels[:9], 4, 1)
        assert torch.equal(scores.probs_N_K_C, alone.probs_N_K_C)
        torch.testing.assert_close(scores.probs_N_K_C, wanted.probs_N_K_C, atol=1e-6, rtol=0)
    assert not torch.equal(read[0].network.head.weight, read[1].network.head.weight)


def test_a_backbone_that_nobody_holds_any_more_is_forgotten(of_a_round):
    backbones = WeakValueDictionary()
    _, folder = of_a_round(0)
    version_folder.read(folder, backbones)
    gc.collect()
    assert len(backbones) == 0
    version_folder.read(folder, backbones)


def test_another_backbone_or_preprocessing_is_not_shared(
    written, make_predictor, pixels, tmp_path
):
    backbones = WeakValueDictionary()
    kept = [version_folder.read(written, backbones)]
    version_folder.write(make_predictor(seed=1), pixels, tmp_path / "other")
    kept.append(version_folder.read(tmp_path / "other", backbones))
    look = replace(make_predictor().preprocessing, mean=(0.4,))
    version_folder.write(replace(make_predictor(), preprocessing=look), pixels, tmp_path / "look")
    kept.append(version_folder.read(tmp_path / "look", backbones))
    assert len({id(p.network.backbone) for p in kept}) == len(backbones) == 3


def test_a_version_that_shares_a_backbone_has_to_prove_its_head(folder, written):
    backbones = WeakValueDictionary()
    kept = version_folder.read(written, backbones)
    restored(folder, "head.safetensors", lambda t: t["heads.0.bias"].add_(torch.tensor([1.0, 0])))
    with pytest.raises(VersionError, match="self-check"):
        version_folder.read(folder, backbones)
    assert len(backbones) == 1
    assert kept.network.backbone is version_folder.read(written, backbones).network.backbone


def test_a_head_never_writes_into_a_backbone_that_others_share(folder, written, pixels):
    backbones = WeakValueDictionary()
    kept = version_folder.read(written, backbones)
    before = kept.embed(pixels[:3])
    strange = {"backbones.0.stages.conv1.weight": torch.zeros(64, 1, 7, 7)}
    restored(folder, "head.safetensors", lambda t: t.update(strange))
    with pytest.raises(VersionError, match=r"head\.safetensors lacks tensors or has others"):
        version_folder.read(folder, backbones)
    assert torch.equal(kept.embed(pixels[:3]), before)


def test_a_version_that_is_refused_leaves_no_backbone_to_be_shared(folder):
    backbones = {}
    restored(folder, "head.safetensors", lambda t: t["heads.0.bias"].add_(torch.tensor([1.0, 0])))
    with pytest.raises(VersionError, match="self-check"):
        version_folder.read(folder, backbones)
    assert backbones == {}


def test_bits_and_fit_come_back_and_a_version_of_before_has_what_was_done_then(
    predictor, pixels, tmp_path
):
    look = replace(predictor.preprocessing, bits=12, least_bits=11, fit="pad")
    version_folder.write(replace(predictor, preprocessing=look), pixels, tmp_path)
    assert version_folder.read(tmp_path).preprocessing == look

    def of_format_5(description):
        description["format"] = 5
        for name in ("bits", "least_bits", "fit"):
            del description["preprocessing"][name]

    described(tmp_path, of_format_5)
    before = version_folder.read(tmp_path).preprocessing
    assert (before.bits, before.least_bits, before.fit) == (16, 0, "stretch")
    assert before.mean == look.mean


@pytest.mark.parametrize("wrong", [{"bits": 20}, {"least_bits": 17}, {"fit": "crop"}])
def test_preprocessing_that_cannot_be_is_refused(folder, wrong):
    described(folder, lambda d: d["preprocessing"].update(wrong))
    with pytest.raises(VersionError, match="not a readable model version"):
        version_folder.read(folder)


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 2, 3, 4, "5", 7, None])
def test_a_format_that_this_program_does_not_know_is_refused_with_both_numbers(folder, number):
    described(folder, lambda d: d.update(format=number))
    with pytest.raises(
        VersionError, match=rf"format {number}, this program reads formats 3, 4, 5, 6;"
    ):
        version_folder.read(folder)


def test_tampered_weights_fail_the_self_check(folder):
    restored(folder, "head.safetensors", lambda t: t["heads.0.bias"].add_(torch.tensor([1.0, 0])))
    with pytest.raises(VersionError, match=r"self-check: deterministic probabilities .* off by"):
        version_folder.read(folder)


def test_weights_that_are_not_numbers_fail_the_self_check(folder):
    restored(folder, "head.safetensors", lambda t: t["heads.0.weight"].fill_(torch.nan))
    with pytest.raises(VersionError, match="self-check"):
        version_folder.read(folder)


def test_another_preprocessing_than_at_training_fails_the_self_check(folder):
    described(folder, lambda d: d["preprocessing"].update(mean=[0.0], std=[0.1]))
    with pytest.raises(VersionError, match="self-check"):
        version_folder.read(folder)


def test_another_temperature_fails_the_self_check(folder):
    described(folder, lambda d: d["operating"].update(temperature=0.2))
    with pytest.raises(VersionError, match="self-check"):
        version_folder.read(folder)


@pytest.mark.parametrize("classes", [("def", "ok"), ("a", "b", "c"), tuple("abcde")])
def test_a_version_whose_dropout_is_off_is_refused(make_predictor, pixels, tmp_path, classes):
    without = make_predictor(classes, dropout=0.0, operating=OperatingPoint(None))
    version_folder.write(without, pixels, tmp_path)
    with pytest.raises(VersionError, match="passes do not differ"):
        version_folder.read(tmp_path)


@pytest.mark.usefixtures("in_fp32")
def test_in_fp32_small_changes_are_seen_that_bf16_would_hide(predictor, pixels, tmp_path):
    version_folder.write(predictor, pixels, tmp_path)
    restored(tmp_path, "head.safetensors", lambda t: t["heads.0.bias"][0].add_(0.01))
    with pytest.raises(VersionError, match=r"at most 0.0001 is allowed"):
        version_folder.read(tmp_path)


@pytest.mark.parametrize("written", ["bf16", "fp32"])
@pytest.mark.parametrize("read", ["bf16", "fp32"])
def test_a_version_written_in_one_precision_is_read_in_another(
    predictor, pixels, tmp_path, compute_in, written, read
):
    compute_in(written)
    version_folder.write(predictor, pixels, tmp_path)
    before = predictor.embed(pixels)
    compute_in(read)
    found = version_folder.read(tmp_path)
    assert found.precision == read
    assert torch.equal(found.embed(pixels), before) == (read == written)


def test_a_version_keeps_the_threshold_that_it_was_given(predictor, pixels, tmp_path):
    moved = replace(predictor, operating=OperatingPoint("ok", 0.123, 1.5))
    version_folder.write(moved, pixels, tmp_path)
    assert version_folder.read(tmp_path).operating.threshold == 0.123
