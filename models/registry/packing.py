"""The code that travels inside a version for other people's programs.

It goes under a package name made of the code's own digest: two versions in one process then never
share the first one's code, nor meet somebody else's package `models`.
"""

import hashlib
import re
from pathlib import Path

_MODULES = (
    "errors",
    "images/__init__",
    "images/contrast",
    "images/decoding",
    "images/depth",
    "images/limits",
    "images/preprocessing",
    "images/reading",
    "uncertainty",
    "evaluation/__init__",
    "evaluation/operating_point",
    "network/__init__",
    "network/backbone",
    "network/device",
    "network/mc_dropout",
    "network/network",
    "network/spec",
    "network/standardise",
    "prediction/__init__",
    "prediction/predictor",
    "registry/__init__",
    "registry/pyfunc",
    "registry/version_folder",
)
_IMPORT = re.compile(r"^(from|import) models\b", flags=re.MULTILINE)


def pack(folder: Path) -> str:
    """Copy the code that scores castings into a package in `folder` and return its name."""
    here = Path(__file__).parents[1]
    sources = {name: (here / f"{name}.py").read_text() for name in _MODULES}
    digest = hashlib.sha256("\0".join(sources.values()).encode()).hexdigest()[:12]
    package = f"casting_model_{digest}"
    for name, source in {"__init__": '"""Packed with a model version."""\n', **sources}.items():
        file = folder / package / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_IMPORT.sub(rf"\1 {package}", source))
    return package
