"""Synthetic castings as a folder with a manifest."""

from pathlib import Path

import pandas as pd
import pytest

from jobs.datasets.synthetic.folder import default_folder, new, synthesize
from jobs.datasets.synthetic.lookalikes import LOOKALIKES
from jobs.datasets.synthetic.moulds import FORMS
from jobs.datasets.synthetic.spec import SyntheticSpec
from models.errors import DataError

FEW = SyntheticSpec(parts=4, shots=1, defect_share=0.5, size=32)


def test_every_casting_has_an_image_and_every_defect_a_mask(tmp_path: Path):
    manifest = synthesize(FEW, tmp_path / "drawn")
    table = pd.read_csv(manifest, keep_default_na=False)
    assert sorted(table["label"]) == ["def", "def", "ok", "ok"]
    for row in table.itertuples():
        assert (manifest.parent / str(row.path)).is_file()
        assert bool(row.mask) == (row.label == "def")
        assert not row.mask or (manifest.parent / str(row.mask)).is_file()


def test_equal_specs_give_equal_bytes(tmp_path: Path):
    folders = [synthesize(FEW, tmp_path / name).parent for name in ("one", "other")]
    one, other = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*.*")} for f in folders)
    assert one == other
    assert len(one) == 1 + 4 + 2  # the manifest, images, masks of the defective


def test_the_manifest_says_the_mould_and_the_lookalikes(tmp_path: Path):
    table = pd.read_csv(synthesize(FEW, tmp_path / "drawn"), keep_default_na=False)
    assert list(table) == ["path", "label", "part", "mask", "kind", "mould", "lookalikes"]
    assert set(table["mould"]) <= set(FORMS)
    assert {kind for borne in table["lookalikes"] for kind in borne.split()} <= set(LOOKALIKES)


def test_a_folder_that_has_its_manifest_is_left_as_it_is(tmp_path: Path):
    manifest = synthesize(FEW, tmp_path / "drawn")
    manifest.write_text("mine")
    assert synthesize(FEW, tmp_path / "drawn") == manifest
    assert manifest.read_text() == "mine"


def test_a_drawing_that_stops_half_way_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OSError, match="No space left"):
        synthesize(FEW, tmp_path / "drawn")
    assert list(tmp_path.iterdir()) == []


def test_only_an_empty_folder_is_new(tmp_path: Path):
    assert new(tmp_path / "drawn") == tmp_path / "drawn"
    (tmp_path / "mine.txt").touch()
    with pytest.raises(DataError, match="not an empty folder"):
        new(tmp_path)


def test_another_spec_has_another_folder():
    specs = FEW, SyntheticSpec(), SyntheticSpec(hardness=0.9)
    assert len({default_folder(spec) for spec in specs}) == len(specs)
