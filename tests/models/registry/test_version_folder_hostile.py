"""Versions that are damaged, or hold what has no place in one."""

import io
import re
import shutil
import struct

import pytest
import torch

from models.errors import VersionError
from models.registry import version_folder
from tests.models.registry.versions import described, restored

DAMAGES = {
    "no such folder": shutil.rmtree,
    "no description": lambda f: (f / "model.json").unlink(),
    "no backbone": lambda f: (f / "backbone.safetensors").unlink(),
    "no head": lambda f: (f / "head.safetensors").unlink(),
    "no goldens": lambda f: (f / "golden.safetensors").unlink(),
    "empty description": lambda f: (f / "model.json").write_text(""),
    "description of bytes": lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00"),
    "description that is a list": lambda f: (f / "model.json").write_text("[]"),
    "a head that is text": lambda f: (f / "head.safetensors").write_text("head"),
    "an unknown backbone": lambda f: described(
        f, lambda d: d["network"].update(backbone="resnet1")
    ),
    "an unknown setting": lambda f: described(f, lambda d: d["network"].update(magic=1)),
    "another backbone": lambda f: described(f, lambda d: d["network"].update(backbone="resnet34")),
    "classes missing": lambda f: described(f, lambda d: d.pop("classes")),
    "precision missing": lambda f: described(f, lambda d: d.pop("golden_precision")),
    "a class too many": lambda f: described(f, lambda d: d["classes"].append("third")),
    "a good class that is none": lambda f: described(f, lambda d: d["operating"].update(good="g")),
    "a tensor missing": lambda f: restored(f, "head.safetensors", lambda t: t.pop("heads.0.bias")),
    "a standardisation missing": lambda f: restored(
        f, "head.safetensors", lambda t: t.pop("standardisations.0.scale_F")
    ),
    "a backbone in the head": lambda f: restored(
        f,
        "head.safetensors",
        lambda t: t.update({"backbones.0.stages.conv1.weight": torch.zeros(64, 1, 7, 7)}),
    ),
    "another backbone's tensors": lambda f: restored(
        f, "backbone.safetensors", lambda t: t["backbones.0.stages.bn1.bias"].add_(1e-6)
    ),
    "a backbone of no digest": lambda f: described(f, lambda d: d.pop("backbone_sha256")),
    "no such stages": lambda f: described(f, lambda d: d["network"].update(strides=[4, 8])),
    "no such statistics": lambda f: described(f, lambda d: d["network"].update(statistics=["x"])),
    "more members than heads": lambda f: described(f, lambda d: d["network"].update(members=2)),
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


@pytest.mark.parametrize("name", sorted(version_folder.FILES))
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


@pytest.mark.parametrize("name", sorted(version_folder.FILES))
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


@pytest.mark.parametrize("name", sorted(version_folder.FILES))
def test_a_link_out_of_the_version_is_refused(folder, tmp_path, name):
    outside = tmp_path / name
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(VersionError, match=f"{name} is a link out of the version"):
        version_folder.read(folder)


def test_a_version_may_itself_be_reached_through_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert version_folder.read(tmp_path / "link").classes == ("def", "ok")


@pytest.mark.parametrize("path", ["../../head.safetensors", "/etc/passwd", "head.pkl"])
@pytest.mark.parametrize("where", ["network", "preprocessing", "operating"])
def test_a_description_cannot_name_a_file(folder, where, path):
    described(folder, lambda d: d[where].update(weights=path))
    with pytest.raises(VersionError, match="not a readable model version"):
        version_folder.read(folder)


@pytest.mark.parametrize("name", ["backbone.safetensors", "head.safetensors"])
@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**40, 0])
def test_a_safetensors_header_that_lies_about_its_length_is_refused(folder, name, length):
    path = folder / name
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    with pytest.raises(VersionError, match="not a readable model version"):
        version_folder.read(folder)


OUT_OF_RANGE = {
    "threshold": lambda d: d["operating"].update(threshold=8.5),
    "below every threshold": lambda d: d["operating"].update(threshold=-0.5),
    "no threshold": lambda d: d["operating"].update(threshold=float("nan")),
    "temperature": lambda d: d["operating"].update(temperature=0.0),
    "endless temperature": lambda d: d["operating"].update(temperature=float("inf")),
    "size": lambda d: d["preprocessing"].update(size=100_000),
    "no size": lambda d: d["preprocessing"].update(size=0),
    "std": lambda d: d["preprocessing"].update(std=[0.0]),
    "mean": lambda d: d["preprocessing"].update(mean=[7.0]),
    "means of more channels": lambda d: d["preprocessing"].update(mean=[0.4, 0.4]),
    "classes of one name": lambda d: d.update(classes=["ok_front"] * len(d["classes"])),
    "a class without a name": lambda d: d.update(classes=["ok_front", ""]),
}


@pytest.mark.parametrize("change", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_a_value_that_no_training_writes_is_refused(folder, change):
    described(folder, change)
    with pytest.raises(VersionError, match=r"values that no training writes|do not fit"):
        version_folder.read(folder)
