"""A version whose files are not those that were published is refused."""

import json
from dataclasses import replace

import pytest
from mlflow.artifacts import download_artifacts

from models.errors import VersionError
from models.registry import mlflow_registry
from models.registry.mlflow_registry import digests
from models.registry.version import DIGESTS


def test_the_tags_of_a_version_tell_the_digest_of_every_file(publish, tmp_path):
    version = publish()
    told = json.loads(version.tags[DIGESTS])
    folder = download_artifacts("models:/casting-defects/1", dst_path=str(tmp_path))
    found = digests(tmp_path)
    assert told.items() <= found.items(), folder
    assert {"data/version/model.json", "data/version/head.safetensors", "MLmodel"} <= told.keys()


@pytest.mark.parametrize(
    "name", ["data/version/model.json", "data/version/golden.safetensors", "MLmodel"]
)
def test_a_bit_that_flipped_in_any_file_is_found(publish, registry, tmp_path, name):
    version = publish()
    exported = tmp_path / "exported"
    registry.export(version, exported)
    mlflow_registry.load_folder(exported, tags=version.tags)
    damaged = bytearray((exported / name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (exported / name).write_bytes(damaged)
    with pytest.raises(VersionError, match=f"{name} lacks or is not what was published"):
        mlflow_registry.load_folder(exported, tags=version.tags)


def test_a_file_that_lacks_is_found_and_versions_of_before_are_not_asked(publish, registry):
    version = publish()
    told = json.loads(version.tags[DIGESTS]) | {"data/version/more.json": "0" * 64}
    with pytest.raises(VersionError, match=r"more\.json lacks"):
        registry.load(replace(version, tags={DIGESTS: json.dumps(told)}))
    registry.load(replace(version, tags={}))
