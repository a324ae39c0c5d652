"""Writing the synthetic castings to a folder with a manifest."""

import tempfile
from dataclasses import astuple
from pathlib import Path

import pandas as pd
from PIL import Image

from jobs.datasets.synthetic.castings import draw_castings
from jobs.datasets.synthetic.spec import SyntheticSpec
from models.errors import DataError

HOME = Path("synthetic-castings")


def synthesize(spec: SyntheticSpec, folder: Path) -> Path:
    """Draw the castings of a spec into a folder and return its manifest.

    The folder appears whole or not at all; one that has a manifest already is left as it is.

    Raises:
        OSError: it cannot be written.
    """
    manifest = folder / "manifest.csv"
    if manifest.exists():
        return manifest
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".drawing-") as temporary:
        draft = Path(temporary) / "castings"
        (draft / "images").mkdir(parents=True)
        (draft / "masks").mkdir()
        rows = []
        for casting in draw_castings(spec):
            image, mask = f"images/{casting.name}.png", ""
            Image.fromarray(casting.image).save(draft / image)
            if casting.kind:
                mask = f"masks/{casting.name}.png"
                Image.fromarray(casting.mask).save(draft / mask)
            of_part = casting.kind, casting.mould, " ".join(casting.lookalikes)
            rows.append((image, casting.label, casting.part, mask, *of_part))
        columns = ["path", "label", "part", "mask", "kind", "mould", "lookalikes"]
        pd.DataFrame(rows, columns=columns).to_csv(draft / manifest.name, index=False)
        try:
            draft.rename(folder)
        except OSError:
            if not manifest.exists():  # else another job drew them meanwhile
                raise
    return manifest


def new(folder: Path) -> Path:
    """The folder, if nothing is in it yet; else DataError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not an empty folder; name another one, or remove it")
    return folder


def default_folder(spec: SyntheticSpec) -> Path:
    """Where `--data synthetic` keeps the castings of a spec, below the working directory."""
    return HOME / "-".join(str(value) for value in astuple(spec))
