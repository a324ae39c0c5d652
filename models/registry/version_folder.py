"""A model version as a folder: safetensors and JSON, complete, and able to prove itself.

    model.json           format number, network, preprocessing, classes, operating point
    weights.safetensors  the network
    golden.safetensors   some castings at model size and the probabilities they had when written

Nothing is unpickled and no code is run. A folder of an unknown format number is refused, and so is
one that holds anything else, or a link to somewhere else.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from models.errors import VersionError
from models.evaluation.operating_point import OperatingPoint
from models.images import Preprocessing
from models.network.device import best_device
from models.network.ensemble import blank
from models.network.spec import NetworkSpec
from models.prediction.predictor import Predictor

FORMAT = 4  # of the files, and of how photographs become the pixels that it was trained on
_FORMAT_OF_TRUNKS = 3  # the same, but for a backbone whose tensors are called `trunk`
FILES = frozenset({"model.json", "weights.safetensors", "golden.safetensors"})
GOLDEN_CASTINGS = 8
_GOLDEN_PASSES = 8
_GOLDEN_SEED = 0
_TOLERANCES = {"fp32": 1e-4, "bf16": 0.03, "int8": 0.03}  # of probabilities
_TOLERANCE_ELSEWHERE = 0.1  # written in one precision, checked in another; 0.08 was seen


def write(predictor: Predictor, golden_N: Tensor, folder: Path) -> None:
    """Write a version; of the castings at model size the first `GOLDEN_CASTINGS` are stored."""
    if len(golden_N) == 0:
        raise VersionError("0 golden castings; a version needs at least 1 to prove itself by")
    folder.mkdir(parents=True, exist_ok=True)
    golden = golden_N[:GOLDEN_CASTINGS].contiguous()
    scores = predictor.score(golden, _GOLDEN_PASSES, _GOLDEN_SEED)
    description = {
        "format": FORMAT,
        "network": asdict(predictor.network.spec),
        "preprocessing": asdict(predictor.preprocessing),
        "classes": list(predictor.classes),
        "operating": asdict(predictor.operating),
        "golden_precision": predictor.precision,
    }
    (folder / "model.json").write_text(json.dumps(description, indent=2) + "\n")
    weights = {k: v.cpu().contiguous() for k, v in predictor.network.state_dict().items()}
    (folder / "weights.safetensors").write_bytes(save(weights))  # save_file would make mode 0600
    tensors = {
        "pixels": golden,
        "deterministic": scores.deterministic_N_C.float(),
        "posterior": scores.probs_N_K_C.float(),
    }
    (folder / "golden.safetensors").write_bytes(save(tensors))


def read(folder: Path) -> Predictor:
    """Read a version and let it prove itself on its golden castings, or raise VersionError."""
    try:
        _check_files(folder)
        description = json.loads((folder / "model.json").read_text())
        _check_format(description, folder)
        weights = load_file(folder / "weights.safetensors")
        if description["format"] == _FORMAT_OF_TRUNKS:
            weights = {name.replace("trunk.", "backbone.", 1): weights[name] for name in weights}
        predictor = _predictor(description, weights)
        golden = load_file(folder / "golden.safetensors")
        _self_check(predictor, golden, str(description["golden_precision"]), folder)
    except VersionError:
        raise
    except Exception as error:  # a damaged version can break anything on the way
        raise VersionError(f"{folder}: not a readable model version: {error}") from error
    return predictor


def _check_files(folder: Path) -> None:
    """Look at names only: nothing of what does not belong here is opened."""
    besides = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
    if besides:
        raise VersionError(
            f"{folder}: a version holds {', '.join(sorted(FILES))} and nothing else; "
            f"remove {', '.join(besides)}"
        )
    for name in FILES:
        if (folder / name).resolve().parent != folder.resolve():
            raise VersionError(f"{folder}: {name} is a link out of the version")


def _check_format(description: Mapping[str, Any], folder: Path) -> None:
    if description.get("format") not in {_FORMAT_OF_TRUNKS, FORMAT}:
        raise VersionError(
            f"{folder}: model version of format {description.get('format')}, this program reads "
            f"formats {_FORMAT_OF_TRUNKS} and {FORMAT}; use the release that wrote it"
        )


def _predictor(description: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Predictor:
    with torch.device("meta"):
        network = blank(NetworkSpec(**description["network"]))
    names, good = description["classes"], description["operating"]["good"]
    if len(names) != network.spec.classes or good not in (None, *names):
        raise ValueError(f"classes {names} with {good} as the good one do not fit the network")
    network = network.to_empty(device="cpu")
    network.load_state_dict(weights)
    preprocessing = Preprocessing(**description["preprocessing"])
    return Predictor(
        network=network.to(best_device()).for_inference(preprocessing),
        preprocessing=preprocessing,
        classes=tuple(names),
        operating=OperatingPoint(**description["operating"]),
    )


def _self_check(
    predictor: Predictor, golden: Mapping[str, Tensor], written_in: str, folder: Path
) -> None:
    scores = predictor.score(golden["pixels"], _GOLDEN_PASSES, _GOLDEN_SEED)
    same = written_in == predictor.precision
    allowed = _TOLERANCES[written_in] if same else _TOLERANCE_ELSEWHERE
    for name, probs in (
        ("deterministic", scores.deterministic_N_C),
        ("posterior", scores.probs_N_K_C),
    ):
        difference = float((probs - golden[name]).abs().max())
        if not difference <= allowed:  # NaN fails too
            raise VersionError(
                f"{folder}: fails its self-check: {name} probabilities of the golden castings are "
                f"off by {difference:.2g}, at most {allowed:g} is allowed"
            )
    if float(scores.probs_N_K_C.std(dim=1).max()) == 0:
        raise VersionError(f"{folder}: fails its self-check: its dropout passes do not differ")
