import io
import json
import re
import shutil
import struct
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.errors import VersionError
from models.evaluation.operating_point import OperatingPoint
from models.registry import version_folder

FILES = {"model.json", "weights.safetensors", "golden.safetensors"}


@pytest.fixture(scope="module")
def written(predictor, pixels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions") / "deep" / "version"
    version_folder.write(predictor, pixels, folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A version of one's own, to be damaged."""
    return shutil.copytree(written, tmp_path / "version")


def described(folder, change):
    """Change the description in place."""
    path = folder / "model.json"
    description = json.loads(path.read_text())
    change(description)
    path.write_text(json.dumps(description))


def restored(folder, name, change):
    """Change the tensors of a file in place."""
    tensors = {key: value.clone() for key, value in load_file(folder / name).items()}
    change(tensors)
    save_file(tensors, folder / name)


# --- round trip ---------------------------------------------------------------------------------


def test_a_version_read_again_gives_the_same_numbers(predictor, pixels, written):
    again = version_folder.read(written)
    assert again.classes == predictor.classes
    assert again.operating == predictor.operating
    assert again.preprocessing == predictor.preprocessing
    assert again.network.spec == predictor.network.spec
    found, wanted = (p.score(pixels[:10], 6, 4) for p in (again, predictor))
    assert torch.equal(found.embeddings_N_F, wanted.embeddings_N_F)
    assert torch.equal(found.probs_N_K_C, wanted.probs_N_K_C)


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


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, "2", None])
def test_a_format_that_this_program_does_not_know_is_refused_with_both_numbers(folder, number):
    described(folder, lambda d: d.update(format=number))
    with pytest.raises(VersionError, match=rf"format {number}, this program reads format 3"):
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


DAMAGES = {
    "no such folder": shutil.rmtree,
    "no description": lambda f: (f / "model.json").unlink(),
    "no weights": lambda f: (f / "weights.safetensors").unlink(),
    "no goldens": lambda f: (f / "golden.safetensors").unlink(),
    "empty description": lambda f: (f / "model.json").write_text(""),
    "description of bytes": lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00"),
    "description that is a list": lambda f: (f / "model.json").write_text("[]"),
    "weights that are text": lambda f: (f / "weights.safetensors").write_text("weights"),
    "an unknown backbone": lambda f: described(f, lambda d: d["network"].update(backbone="vgg")),
    "an unknown setting": lambda f: described(f, lambda d: d["network"].update(magic=1)),
    "another backbone": lambda f: described(f, lambda d: d["network"].update(backbone="resnet34")),
    "classes missing": lambda f: described(f, lambda d: d.pop("classes")),
    "precision missing": lambda f: described(f, lambda d: d.pop("golden_precision")),
    "a class too many": lambda f: described(f, lambda d: d["classes"].append("third")),
    "a good class that is none": lambda f: described(f, lambda d: d["operating"].update(good="g")),
    "a tensor missing": lambda f: restored(f, "weights.safetensors", lambda t: t.pop("head.bias")),
    "a golden missing": lambda f: restored(f, "golden.safetensors", lambda t: t.pop("posterior")),
    "golden castings in colour": lambda f: restored(
        f, "golden.safetensors", lambda t: t.update(pixels=t["pixels"].repeat(1, 3, 1, 1))
    ),
    "goldens of another number": lambda f: restored(
        f, "golden.safetensors", lambda t: t.update(posterior=t["posterior"][:3].clone())
    ),
    "no golden casting": lambda f: restored(
        f, "golden.safetensors", lambda t: t.update({k: v[:0].clone() for k, v in t.items()})
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_version_is_refused_with_its_folder(folder, damage):
    DAMAGES[damage](folder)
    with pytest.raises(VersionError, match=str(folder)):
        version_folder.read(folder)


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("tenth", [1, 5, 9])
def test_a_version_cut_short_is_refused(folder, name, tenth):
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * tenth // 10])
    with pytest.raises(VersionError):
        version_folder.read(folder)


# --- what has no place in a version --------------------------------------------------------------

RUNS_WHEN_UNPICKLED = b"cos\nsystem\n(S'touch unpickled'\ntR."


@pytest.mark.parametrize(
    "name", ["python_model.pkl", "weights.pt", "notes.txt", ".hidden", "more"]
)
def test_a_version_that_holds_anything_else_is_refused_by_name_and_nothing_is_opened(folder, name):
    if name == "more":
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(RUNS_WHEN_UNPICKLED)
        (folder / name).chmod(0)
    with pytest.raises(VersionError, match=f"and nothing else; remove {re.escape(name)}$"):
        version_folder.read(folder)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_pickle_under_a_name_of_ours_is_refused_and_not_unpickled(folder, name, monkeypatch):
    monkeypatch.chdir(folder.parent)
    for content in (RUNS_WHEN_UNPICKLED, torch_pickle()):
        (folder / name).write_bytes(content)
        with pytest.raises(VersionError, match="not a readable model version"):
            version_folder.read(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["version"]


def torch_pickle():
    file = io.BytesIO()
    torch.save({"head.bias": torch.zeros(2)}, file)
    return file.getvalue()


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_link_out_of_the_version_is_refused(folder, tmp_path, name):
    outside = tmp_path / name
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(VersionError, match=f"{name} is a link out of the version"):
        version_folder.read(folder)


def test_a_version_may_itself_be_reached_through_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert version_folder.read(tmp_path / "link").classes == ("def", "ok")


@pytest.mark.parametrize("path", ["../../weights.safetensors", "/etc/passwd", "weights.pkl"])
@pytest.mark.parametrize("where", ["network", "preprocessing", "operating"])
def test_a_description_cannot_name_a_file(folder, where, path):
    described(folder, lambda d: d[where].update(weights=path))
    with pytest.raises(VersionError, match="not a readable model version"):
        version_folder.read(folder)


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**40, 0])
def test_a_safetensors_header_that_lies_about_its_length_is_refused(folder, length):
    path = folder / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    with pytest.raises(VersionError, match="not a readable model version"):
        version_folder.read(folder)


def test_a_version_keeps_the_threshold_that_it_was_given(predictor, pixels, tmp_path):
    moved = replace(predictor, operating=OperatingPoint("ok", 0.123, 1.5))
    version_folder.write(moved, pixels, tmp_path)
    assert version_folder.read(tmp_path).operating.threshold == 0.123
