import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from models.errors import VersionError
from models.evaluation.operating_point import OperatingPoint
from models.network.ensemble import Ensemble
from models.registry import version_folder
from tests.models.registry.versions import described, restored

FILES = {"model.json", "weights.safetensors", "golden.safetensors"}


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


# --- formats ------------------------------------------------------------------------------------


def in_format_3(folder):
    """The folder as a version of before lay in it."""
    described(folder, lambda d: d.update(format=3))
    restored(folder, "weights.safetensors", call_the_backbone_trunk)


def call_the_backbone_trunk(tensors):
    for name in [name for name in tensors if "backbone." in name]:
        tensors[name.replace("backbone.", "trunk.")] = tensors.pop(name)


@pytest.mark.parametrize("members", [1, 2])
def test_a_version_of_format_3_with_a_trunk_opens_with_the_same_bits(
    make_predictor, pixels, tmp_path, members
):
    predictors = [make_predictor(seed=seed) for seed in range(members)]
    predictor = predictors[0]
    if members > 1:
        networks = [predictor.network for predictor in predictors]
        predictor = replace(predictor, network=Ensemble.of(networks))
    version_folder.write(predictor, pixels, tmp_path)
    in_format_3(tmp_path)
    names = load_file(tmp_path / "weights.safetensors").keys()
    prefix = "members.1.trunk." if members > 1 else "trunk."
    assert f"{prefix}conv1.weight" in names
    read, wanted = (p.score(pixels[:9], 5, 1) for p in (version_folder.read(tmp_path), predictor))
    assert torch.equal(read.embeddings_N_F, wanted.embeddings_N_F)
    assert torch.equal(read.probs_N_K_C, wanted.probs_N_K_C)


def test_a_version_of_format_4_has_a_backbone_and_no_trunk(folder):
    assert json.loads((folder / "model.json").read_text())["format"] == 4
    restored(folder, "weights.safetensors", call_the_backbone_trunk)
    with pytest.raises(VersionError, match="not a readable model version"):
        version_folder.read(folder)


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 2, "3", 5, None])
def test_a_format_that_this_program_does_not_know_is_refused_with_both_numbers(folder, number):
    described(folder, lambda d: d.update(format=number))
    with pytest.raises(
        VersionError, match=rf"format {number}, this program reads formats 3 and 4;"
    ):
        version_folder.read(folder)


def test_tampered_weights_fail_the_self_check(folder):
    restored(folder, "weights.safetensors", lambda t: t["head.bias"].add_(torch.tensor([1.0, 0])))
    with pytest.raises(VersionError, match=r"self-check: deterministic probabilities .* off by"):
        version_folder.read(folder)


def test_weights_that_are_not_numbers_fail_the_self_check(folder):
    restored(folder, "weights.safetensors", lambda t: t["head.weight"].fill_(torch.nan))
    with pytest.raises(VersionError, match="self-check"):
        version_folder.read(folder)


def test_another_preprocessing_than_at_training_fails_the_self_check(folder):
    described(folder, lambda d: d["preprocessing"].update(mean=0.0, std=0.1))
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
    restored(tmp_path, "weights.safetensors", lambda t: t["head.bias"][0].add_(0.01))
    with pytest.raises(VersionError, match=r"at most 0.0001 is allowed"):
        version_folder.read(tmp_path)


@pytest.mark.parametrize("written", ["int8", "bf16", "fp32"])
@pytest.mark.parametrize("read", ["int8", "bf16", "fp32"])
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
