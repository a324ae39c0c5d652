"""Versions to publish, and to be damaged."""

import json

from safetensors.torch import load_file, save_file

NAME = "casting-defects"
TAGS = {"campaign": "c", "round": "0", "strategy": "bald", "labels": "40", "labels_sha256": "ab"}


def new_run(client):
    found = client.get_experiment_by_name("e")
    experiment = found.experiment_id if found else client.create_experiment("e")
    return client.create_run(experiment).info.run_id


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
