"""A model version as a folder: safetensors and JSON, complete, and able to prove itself.

    model.json           format number, network, preprocessing, classes, operating point, start
    backbone.safetensors the backbones, known by their SHA-256
    head.safetensors     what standardises their pooled stages, and the heads
    golden.safetensors   some castings at model size and what they were given when written

Nothing is unpickled and no code is run. A folder of an unknown format number is refused, and so is
one that holds anything else, or a link to somewhere else. Up to format 5 nothing was said about
bits and fit: photographs were stretched, and 65,535 was the white of 16 bits. Up to format 4 there
was one file of weights, of a network whose features were the means of its last stage.
"""

import json
import math
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from models.errors import VersionError
from models.evaluation.operating_point import OperatingPoint
from models.images import Preprocessing
from models.network.backbone import digest_of
from models.network.device import best_device
from models.network.network import Network
from models.network.spec import NetworkSpec
from models.network.standardise import Standardisation
from models.prediction.predictor import Predictor

FORMAT = 6  # of the files, and of how photographs become the pixels that it was trained on
_SAME_FILES = (5, FORMAT)
_OLDER = (3, 4)
FILES = frozenset({
    "model.json", "backbone.safetensors", "head.safetensors", "golden.safetensors",
})  # fmt: skip
_OLDER_FILES = frozenset({"model.json", "weights.safetensors", "golden.safetensors"})
GOLDEN_CASTINGS = 8
_ABOVE = 1e-3  # the best threshold may be just above every P(defect)
_LARGEST = 4096  # pixels of an edge
_GOLDEN_PASSES = 8
_GOLDEN_SEED = 0
_TOLERANCES = {"fp32": 1e-4, "bf16": 0.03}  # of probabilities
_TOLERANCE_ELSEWHERE = 0.1  # written in one precision, checked in another; 0.08 was seen

Backbones = MutableMapping[str, nn.ModuleList]
"""Backbones that are in memory and have proved themselves, by what they are known by."""


def write(predictor: Predictor, golden_N: Tensor, folder: Path) -> None:
    """Write a version; of the castings at model size the first `GOLDEN_CASTINGS` are stored."""
    if len(golden_N) == 0:
        raise VersionError("0 golden castings; a version needs at least 1 to prove itself by")
    folder.mkdir(parents=True, exist_ok=True)
    golden = golden_N[:GOLDEN_CASTINGS].contiguous()
    pooled_N_P = predictor.pool(golden)
    scores = predictor.score_embeddings(
        predictor.features(pooled_N_P), _GOLDEN_PASSES, _GOLDEN_SEED
    )
    backbone, head = _split(predictor.network.state_dict())
    description = {
        "format": FORMAT,
        "network": asdict(predictor.network.spec),
        "preprocessing": asdict(predictor.preprocessing),
        "classes": list(predictor.classes),
        "operating": asdict(predictor.operating),
        "start": predictor.start,
        "backbone_sha256": digest_of(backbone),
        "golden_precision": predictor.precision,
    }
    (folder / "model.json").write_text(json.dumps(description, indent=2) + "\n")
    # save_file would make mode 0600
    (folder / "backbone.safetensors").write_bytes(save(backbone))
    (folder / "head.safetensors").write_bytes(save(head))
    tensors = {
        "pixels": golden,
        "pooled": pooled_N_P,
        "deterministic": scores.deterministic_N_C.float(),
        "posterior": scores.probs_N_K_C.float(),
    }
    (folder / "golden.safetensors").write_bytes(save(tensors))


def read(folder: Path, backbones: Backbones | None = None) -> Predictor:
    """Read a version and let it prove itself on its golden castings.

    A version whose backbone is among `backbones` shares it, and only its head has to prove itself;
    else its backbone joins them.

    Raises:
        VersionError: it is of no known format, damaged, incomplete, or proves to be another.
    """
    try:
        description = _description(folder)
        network, shared = _network(description, folder, {} if backbones is None else backbones)
        predictor = _predictor(description, network)
        golden = load_file(folder / "golden.safetensors")
        pooled_N_P = golden["pooled"] if shared else predictor.pool(golden["pixels"])
        precision = str(description["golden_precision"])
        _self_check(predictor, pooled_N_P, golden, precision, folder)
    except VersionError:
        raise
    except Exception as error:  # a damaged version can break anything on the way
        raise VersionError(f"{folder}: not a readable model version: {error}") from error
    if backbones is not None and "backbone_sha256" in description:
        backbones.setdefault(_known_by(description), network.backbones)
    return predictor


def _split(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of backbones, and all others."""
    kept = {name: value.cpu().contiguous() for name, value in tensors.items()}
    backbone = {name: value for name, value in kept.items() if name.startswith("backbones.")}
    return backbone, {name: value for name, value in kept.items() if name not in backbone}


def _description(folder: Path) -> dict[str, Any]:
    """What `model.json` says, brought to this format, once the files are looked at."""
    names = {path.name for path in folder.iterdir()}
    older = "weights.safetensors" in names
    _check_files(folder, _OLDER_FILES if older else FILES)
    description: dict[str, Any] = json.loads((folder / "model.json").read_text())
    known = _OLDER if older else _SAME_FILES
    if description.get("format") not in known:
        raise VersionError(
            f"{folder}: model version of format {description.get('format')}, this program reads "
            f"formats {', '.join(map(str, (*_OLDER, *_SAME_FILES)))}; use the release that wrote "
            f"it"
        )
    if older:
        members = description["network"].get("members", 1)
        description["network"] |= {
            "backbones": members, "strides": [32], "statistics": ["mean"],
        }  # fmt: skip
        description["preprocessing"] |= {
            name: [description["preprocessing"][name]] for name in ("mean", "std")
        }
    return description


def _known_by(description: Mapping[str, Any]) -> str:
    network = {k: v for k, v in description["network"].items() if k not in {"classes", "dropout"}}
    facts = (description.get("backbone_sha256"), network, description["preprocessing"])
    return json.dumps(facts, sort_keys=True)


def _network(
    description: Mapping[str, Any], folder: Path, backbones: Backbones
) -> tuple[Network, bool]:
    """The network for inference, and whether its backbones were in memory already."""
    with torch.device("meta"):
        network = Network(NetworkSpec(**_tuples(description["network"])))
    if description["format"] in _OLDER:
        tensors = _of_before(load_file(folder / "weights.safetensors"), network)
    else:
        head = _head(folder, network)
        shared = backbones.get(_known_by(description))
        if shared is not None:
            network = network.on(shared)
            network.load_state_dict(head, strict=False, assign=True)
            return network.eval(), True
        backbone = load_file(folder / "backbone.safetensors")
        if digest_of(backbone) != description["backbone_sha256"]:
            raise VersionError(
                f"{folder}: backbone.safetensors is not the one it was written with"
            )
        tensors = backbone | head
    network = network.to_empty(device="cpu")
    network.load_state_dict(tensors)
    network = network.to(best_device()).eval()
    return network.for_inference(), False


def _head(folder: Path, network: Network) -> dict[str, Tensor]:
    """All tensors of a network but its backbones': those may be others' too."""
    head = load_file(folder / "head.safetensors")
    wanted = {name for name in network.state_dict() if not name.startswith("backbones.")}
    if head.keys() != wanted:
        odd = ", ".join(sorted(head.keys() ^ wanted))
        raise VersionError(f"{folder}: head.safetensors lacks tensors or has others: {odd}")
    return head


def _of_before(tensors: Mapping[str, Tensor], network: Network) -> dict[str, Tensor]:
    """Tensors of format 3 or 4 by their names of today; nothing was standardised then."""
    neutral = Standardisation(network.backbone.pooled_count).state_dict()
    renamed = {
        f"standardisations.{member}.{name}": value
        for member in range(network.spec.backbones)
        for name, value in neutral.items()
    }
    for name, value in tensors.items():
        member, rest = "0", name.replace("trunk.", "backbone.", 1)
        if rest.startswith("members."):
            _, member, rest = rest.split(".", 2)
        kind, _, tail = rest.partition(".")
        places = {
            "backbone": f"backbones.{member}.stages.{tail}",
            "head": f"heads.{member}.{tail}",
        }
        if kind in places:  # what int8 needed is of no use
            renamed[places[kind]] = value
    return renamed


def _preprocessing(description: Mapping[str, Any]) -> Preprocessing:
    return Preprocessing(**_tuples(description["preprocessing"]))


def _tuples(given: Mapping[str, Any]) -> dict[str, Any]:
    """Lists of JSON as the tuples that they were."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}


def _predictor(description: Mapping[str, Any], network: Network) -> Predictor:
    names, good = description["classes"], description["operating"]["good"]
    if len(names) != network.spec.classes or good not in (None, *names):
        raise ValueError(f"classes {names} with {good} as the good one do not fit the network")
    preprocessing = _preprocessing(description)
    operating = OperatingPoint(**description["operating"])
    _check_values(preprocessing, names, operating)
    return Predictor(
        network=network,
        preprocessing=preprocessing,
        classes=tuple(names),
        operating=operating,
        start=description.get("start", {}),
    )


def _check_values(
    preprocessing: Preprocessing, names: Sequence[str], operating: OperatingPoint
) -> None:
    """Refuse what no training writes: such a version would answer, and wrongly."""
    channels = {1, preprocessing.channels}
    in_range = {
        "size": 0 < preprocessing.size <= _LARGEST,
        "channels": preprocessing.channels in {1, 3},
        "mean": all(0 <= mean <= 1 for mean in preprocessing.mean),
        "std": all(0 < std <= 1 for std in preprocessing.std),
        "mean and std": {len(preprocessing.mean), len(preprocessing.std)} <= channels,
        "classes": len(set(names)) == len(names) and all(n and isinstance(n, str) for n in names),
        "threshold": 0 <= operating.threshold <= 1 + _ABOVE,
        "temperature": 0 < operating.temperature < math.inf,
    }
    wrong = [name for name, fine in in_range.items() if not fine]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: values that no training writes")


def _check_files(folder: Path, files: frozenset[str]) -> None:
    """Look at names only: nothing of what does not belong here is opened."""
    besides = sorted(path.name for path in folder.iterdir() if path.name not in files)
    if besides:
        raise VersionError(
            f"{folder}: a version holds {', '.join(sorted(FILES))} and nothing else; "
            f"remove {', '.join(besides)}"
        )
    for name in files:
        if (folder / name).resolve().parent != folder.resolve():
            raise VersionError(f"{folder}: {name} is a link out of the version")


def _self_check(
    predictor: Predictor,
    pooled_N_P: Tensor,
    golden: Mapping[str, Tensor],
    written_in: str,
    folder: Path,
) -> None:
    embeddings_N_F = predictor.features(pooled_N_P)
    scores = predictor.score_embeddings(embeddings_N_F, _GOLDEN_PASSES, _GOLDEN_SEED)
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
    heads = predictor.network.linear_heads()
    if heads[0].weight.any() and float(scores.probs_N_K_C.std(dim=1).max()) == 0:
        raise VersionError(f"{folder}: fails its self-check: its dropout passes do not differ")
