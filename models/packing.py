"""The code that travels inside a version for other people's programs.

It goes under a package name made of the code's own digest: two versions in one process then never
share the first one's code, nor meet somebody else's package `models`.
"""

import hashlib
import re
from pathlib import Path

_MODULES = (
    "bundle",
    "ensemble",
    "errors",
    "images",
    "mc_dropout",
    "network",
    "predictor",
    "pyfunc",
    "scores",
    "whole_numbers",
)
_IMPORT = re.compile(r"^(from|import) models\b", flags=re.MULTILINE)


def pack(folder: Path) -> str:
    """Copy the code that scores castings into a package in `folder` and return its name."""
    here = Path(__file__).parent
    sources = {name: (here / f"{name}.py").read_text() for name in _MODULES}
    digest = hashlib.sha256("\0".join(sources.values()).encode()).hexdigest()[:12]
    package = f"casting_model_{digest}"
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text('"""Packed with a model version."""\n')
    for name, source in sources.items():
        (folder / package / f"{name}.py").write_text(_IMPORT.sub(rf"\1 {package}", source))
    return package
