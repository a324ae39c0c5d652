import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from models.network.surface.textures import SIDE, collect


def picture(seed, size=(200, 160), kind="PNG"):
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()


@pytest.fixture
def packages(tmp_path):
    """Two pictures as files and one in a game's archive, among what is none."""
    folder = tmp_path / "packages"
    (folder / "game").mkdir(parents=True)
    (folder / "game" / "rust.png").write_bytes(picture(0))
    (folder / "game" / "again.png").write_bytes(picture(0))  # the same picture
    (folder / "game" / "wall.JPG").write_bytes(picture(1, kind="JPEG"))
    (folder / "game" / "rust_normal.png").write_bytes(picture(2))
    (folder / "game" / "small.png").write_bytes(picture(3, size=(100, 300)))
    (folder / "game" / "damaged.png").write_bytes(picture(4)[:5000])
    (folder / "game" / "text.png").write_text("no picture")
    (folder / "game" / "readme.txt").write_text("no picture")
    (folder / "link.png").symlink_to(folder / "game" / "rust_normal.png")
    flat = io.BytesIO()
    Image.new("RGB", (200, 200), (90, 90, 90)).save(flat, "PNG")
    (folder / "game" / "flat.png").write_bytes(flat.getvalue())
    with zipfile.ZipFile(folder / "game" / "data.pk3", "w") as archive:
        archive.writestr("textures/stone.png", picture(5))
        archive.writestr("gui/button.png", picture(6))
        archive.writestr("levelshots/map.png", picture(7))
        archive.writestr("sound.ogg", b"no picture")
    return folder


def test_crops_are_taken_of_each_picture_of_a_surface_once(packages, tmp_path):
    count = collect(packages, tmp_path / "crops.npy", per_image=3, processes=2)
    crops = np.load(tmp_path / "crops.npy")
    assert crops.shape == (count, SIDE, SIDE, 3)
    assert count == 3 * 3  # rust, wall and stone
    assert crops.dtype == np.uint8
    assert len({crop.tobytes() for crop in crops}) == count
    assert crops.mean(axis=3).std(axis=(1, 2)).min() >= 8


def test_the_same_packages_give_the_same_file_on_any_number_of_processes(packages, tmp_path):
    collect(packages, tmp_path / "one.npy", per_image=2, processes=1)
    collect(packages, tmp_path / "two.npy", per_image=2, processes=2)
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()
