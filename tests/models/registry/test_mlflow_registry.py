"""Versions in MLflow's registry, and as folders of MLflow."""

import re
import shutil

import pytest
import torch
from mlflow.models import Model

from models.errors import VersionError, VersionNotFound
from models.registry import mlflow_registry
from models.registry.version import DIGESTS, Version
from tests.models.registry.versions import NAME, TAGS, new_run


@pytest.fixture(scope="module")
def exported(predictor, pixels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "version"
    mlflow_registry.save(predictor, pixels, folder, Model())
    return folder


# --- publish, find, point, load -----------------------------------------------------------------


def test_a_published_version_is_found_and_gives_the_same_numbers(
    registry, tracking_store, publish, predictor, pixels
):
    made = publish()
    tags = {key: tag for key, tag in made.tags.items() if key != DIGESTS}
    assert (made.name, made.number, tags) == (NAME, "1", TAGS)
    assert registry.find(NAME, "1") == made
    loaded = registry.load(Version(NAME, "1", "", {}))
    read, wanted = (p.score(pixels[:9], 5, 1) for p in (loaded, predictor))
    assert torch.equal(read.probs_N_K_C, wanted.probs_N_K_C)
    assert loaded.classes == predictor.classes


def test_the_version_belongs_to_the_run_that_trained_it(registry, tracking_store, publish):
    run_id = new_run(tracking_store)
    made = publish(run_id=run_id)
    assert made.run_id == run_id
    assert publish(run_id=run_id) == made  # it has registered these labels already
    assert publish().number == "2"
    (output,) = tracking_store.get_run(run_id).outputs.model_outputs
    assert output.step == 40


def test_what_an_attempt_that_died_left_behind_is_cleared_away(
    tracking_store, publish, monkeypatch
):
    run_id = new_run(tracking_store)
    first, others = publish(run_id=run_id), TAGS | {"labels_sha256": "cd"}
    with monkeypatch.context() as patch:
        patch.setattr(tracking_store, "create_model_version", _dies)
        with pytest.raises(KeyboardInterrupt):
            publish(run_id=run_id, tags=others)
    second = publish(run_id=run_id, tags=others)
    experiment = tracking_store.get_run(run_id).info.experiment_id
    kept = {m.artifact_location for m in tracking_store.search_logged_models([experiment])}
    versions = [tracking_store.get_model_version(NAME, v.number) for v in (first, second)]
    assert kept == {version.source for version in versions}


def _dies(*_, **__):
    raise KeyboardInterrupt


def test_of_two_versions_of_a_run_the_later_one_is_its_version(registry, tracking_store, publish):
    run_id = new_run(tracking_store)
    publish(run_id=run_id)
    others = TAGS | {"labels_sha256": "cd"}
    second = publish(run_id=run_id, tags=others)
    assert second.number == "2"
    assert publish(run_id=run_id, tags=others) == second


def test_the_alias_moves_and_the_version_remembers_the_one_before(
    registry, tracking_store, publish
):
    assert registry.current(NAME) is None
    first, second = publish(), publish()
    assert registry.current(NAME) is None  # publishing points nowhere
    registry.promote(first)
    current = registry.current(NAME)
    assert (current.number, current.tags["previous"]) == ("1", "none")
    registry.promote(second)
    current = registry.current(NAME)
    assert (current.number, current.tags["previous"]) == ("2", "1")


def test_going_back_leaves_the_chain_as_it_is(registry, tracking_store, publish):
    first, second = publish(), publish()
    for version in (first, second):
        registry.promote(version)
    registry.mark_rolled_back(second)
    registry.roll_back(first)
    current = registry.current(NAME)
    assert (current.number, current.tags["previous"]) == ("1", "none")
    left = registry.find(NAME, "2").tags
    assert (left["previous"], left["rolled_back"]) == ("1", "true")


def test_pointing_where_the_alias_points_already_changes_nothing(
    registry, tracking_store, publish
):
    first, second = publish(), publish()
    for version in (first, second, second):
        registry.promote(version)
    assert registry.find(NAME, "2").tags["previous"] == "1"


def test_a_version_that_is_not_there_is_not_found(registry, tracking_store, publish):
    for number in ("1", "999", "seven"):
        with pytest.raises(VersionNotFound, match=f"{NAME} has no version {number}"):
            registry.find(NAME, number)
    publish()
    for number in ("2", "999"):
        with pytest.raises(VersionNotFound, match=f"{NAME} has no version {number}"):
            registry.find(NAME, number)
        with pytest.raises(VersionNotFound, match=f"{NAME} has no version {number}"):
            registry.load(Version(NAME, number, "", {}))


def test_a_version_whose_files_are_gone_or_damaged_is_refused(registry, publish, tmp_path):
    publish()
    (weights,) = (tmp_path / "mlruns").rglob("backbone.safetensors")
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(VersionError):
        registry.load(Version(NAME, "1", "", {}))
    shutil.rmtree(tmp_path / "mlruns")
    with pytest.raises(VersionError):
        registry.load(Version(NAME, "1", "", {}))


@pytest.mark.parametrize("name", ["python_model.pkl", "data/model.pth", "code/more/w.joblib"])
def test_a_registered_version_with_a_pickle_in_it_is_refused_by_name(
    registry, publish, tmp_path, name
):
    publish()
    (description,) = (tmp_path / "mlruns").rglob("MLmodel")
    pickle = description.parent / name
    pickle.parent.mkdir(exist_ok=True)
    pickle.write_bytes(b"cos\nsystem\n(S'touch unpickled'\ntR.")
    with pytest.raises(VersionError, match=f"no place in a version, here are {pickle.name}"):
        registry.load(Version(NAME, "1", "", {}))
    assert not (tmp_path / "unpickled").exists()


def test_a_version_whose_data_are_a_link_to_elsewhere_is_refused(exported, tmp_path):
    version = shutil.copytree(exported, tmp_path / "version")
    (version / "data" / "version").rename(tmp_path / "elsewhere")
    (version / "data" / "version").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VersionError, match="a link out of the version"):
        mlflow_registry.load_folder(version)


# --- the folder of a version --------------------------------------------------------------------


def test_an_exported_folder_is_loaded_from_outside_and_from_inside(exported, predictor, pixels):
    wanted = predictor.score(pixels[:3], 4, 0).probs_N_K_C
    for folder in (exported, exported / "data" / "version"):
        read = mlflow_registry.load_folder(folder).score(pixels[:3], 4, 0).probs_N_K_C
        assert torch.equal(read, wanted)


def test_a_folder_that_is_no_version_is_refused(tmp_path):
    with pytest.raises(VersionError, match="not a readable model version"):
        mlflow_registry.load_folder(tmp_path)


def test_nothing_in_a_version_is_a_pickle(exported):
    files = [file for file in exported.rglob("*") if file.is_file()]
    known = {".json", ".safetensors", ".py", ".yaml", ".txt", ""}
    assert {file.suffix for file in files} <= known
    assert [file.name for file in files if not file.suffix] == ["MLmodel"]
    assert not [file for file in files if file.read_bytes()[:1] == b"\x80"]
    flavour = Model.load(str(exported)).flavors["python_function"]
    assert re.fullmatch(r"casting_model_[0-9a-f]{12}\.registry\.pyfunc", flavour["loader_module"])
    assert "python_model" not in flavour


def test_the_files_of_a_version_may_be_read_by_others(exported):
    for path in exported.rglob("*"):
        wanted = 0o055 if path.is_dir() else 0o044
        assert path.stat().st_mode & wanted == wanted, path


def test_a_version_says_what_it_takes_and_pins_what_it_was_made_with(exported):
    signature = Model.load(str(exported)).signature
    assert {p.name: p.default for p in signature.params.params} == {"passes": 50, "seed": 0}
    pinned = (exported / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in pinned} == set(mlflow_registry._REQUIREMENTS)  # noqa: SLF001
    assert all("==" in line for line in pinned)


# --- export -------------------------------------------------------------------------------------


def test_an_exported_version_knows_where_it_came_from(
    registry, publish, predictor, pixels, tmp_path
):
    publish()
    made = publish()
    registry.export(made, tmp_path / "some" / "folder")
    shutil.rmtree(tmp_path / "mlruns")  # nothing outside is needed any more
    assert mlflow_registry.origin(tmp_path / "some" / "folder") == made
    read = mlflow_registry.load_folder(tmp_path / "some" / "folder")
    wanted = predictor.score(pixels[:3], 4, 0).probs_N_K_C
    assert torch.equal(read.score(pixels[:3], 4, 0).probs_N_K_C, wanted)


def test_an_export_never_writes_into_what_is_there(registry, publish, tmp_path):
    made = publish()
    (tmp_path / "mine").mkdir()
    with pytest.raises(VersionError, match="mine exists; remove it or name another folder"):
        registry.export(made, tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


def test_an_export_that_fails_leaves_nothing(registry, publish, tmp_path):
    made = publish()
    (weights,) = (tmp_path / "mlruns").rglob("backbone.safetensors")
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(VersionError, match="is not what was published"):
        registry.export(made, tmp_path / "damaged")
    with pytest.raises(VersionNotFound, match=f"{NAME} has no version 7"):
        registry.export(Version(NAME, "7", "", {}), tmp_path / "missing")
    assert not (tmp_path / "damaged").exists()
    assert not (tmp_path / "missing").exists()


def test_a_folder_that_was_not_exported_says_nothing_and_a_damaged_note_is_refused(tmp_path):
    assert mlflow_registry.origin(tmp_path) is None
    for note in ("{", "[]", '{"name": "a"}'):
        (tmp_path / "exported.json").write_text(note)
        with pytest.raises(VersionError, match=r"exported\.json"):
            mlflow_registry.origin(tmp_path)
