"""Teach the start that ships with the project: `python -m models.network.surface --help`."""

import argparse
from pathlib import Path

import numpy as np

from models.network.surface.teach import Lesson, teach, write
from models.network.surface.teacher import Teacher
from models.network.surface.textures import collect, download


def main() -> None:
    """Collect textures, teach a student on them, write its weights."""
    parser = argparse.ArgumentParser(prog="python -m models.network.surface", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder for packages and crops")
    parser.add_argument("--teacher", type=Path, required=True, help="safetensors of the teacher")
    parser.add_argument("--out", type=Path, required=True, help="the start that is written")
    parser.add_argument("--begin", type=Path, help="a start to go on from")
    parser.add_argument("--images", type=int, default=1_000_000, help="shown to the student")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--per-image", type=int, default=2, help="crops per texture")
    options = parser.parse_args()
    crops_file = options.work / "crops.npy"
    if not crops_file.is_file():
        download(options.work / "packages")
        collect(options.work / "packages", crops_file, options.per_image, processes=2)
    crops = np.load(crops_file, mmap_mode="r")
    lesson = Lesson(options.images, learning_rate=options.learning_rate)
    checkpoint = options.work / "checkpoint.pt"
    tensors = teach(crops, Teacher.read(options.teacher), lesson, checkpoint, begin=options.begin)
    write(tensors, options.out)


if __name__ == "__main__":
    main()
