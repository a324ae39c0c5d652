"""Square crops of freely licensed textures and wallpapers: what the start is taught on.

The images lie in Debian's game and wallpaper packages, as files or in the games' own archives,
which are zip files. What is no picture of a surface is left out by its name.
"""

import hashlib
import io
import re
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

SIDE = 224  # pixels, of a crop
PACKAGES = (
    "0ad-data",
    "colobot-common-textures",
    "lomiri-wallpapers",
    "mate-backgrounds",
    "nexuiz-textures",
    "openarena-081-textures",
    "plasma-workspace-wallpapers",
    "supertuxkart-data",
    "sweethome3d-textures-editor",
    "torcs-data",
    "trigger-rally-data",
    "ufoai-textures",
    "warzone2100-data",
)
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".tga", ".dds", ".webp", ".rgb", ".bmp"})
_ARCHIVES = frozenset({".pk3", ".zip", ".wz"})
_NO_SURFACE = re.compile(
    r"(_n|_nm|_nrm|_norm|_normal|_local|_h|_bump|_height|_spec|_s|_gloss|_luma|_glow|_mask|_ao)\."
    r"|normal|levelshots|lightmap|/lm_|skybox|/env/|/gui/|/ui/|icon|font|screenshot|minimap|hud",
    re.IGNORECASE,
)
_LEAST_SIDE = 128  # pixels
_LEAST_DEVIATION = 8  # grey levels; a crop with less shows nothing
_MOST_PIXELS = 60_000_000
_ONE_IN = 100_000_000  # bytes of a file in an archive


def download(folder: Path) -> None:
    """Fetch `PACKAGES` with apt-get and unpack them, each into a folder of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in PACKAGES if not (folder / name).is_dir()]
    if missing:
        subprocess.run(["apt-get", "download", *missing], cwd=folder, check=True)  # noqa: S603, S607
    for name in missing:
        archive = next(folder.glob(f"{name}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", archive, folder / name], check=True)  # noqa: S603, S607
        archive.unlink()


def collect(packages: Path, crops_file: Path, per_image: int, processes: int) -> int:
    """Write crops, uint8 `[M, SIDE, SIDE, 3]`, as a .npy file in random order; how many they are.

    An image that occurs twice is taken once; crops are drawn from the image's own bytes.
    """
    sources = list(_sources(packages))
    kept: dict[str, NDArray[np.uint8]] = {}
    with ProcessPoolExecutor(processes) as pool:
        for digest, crops in pool.map(partial(_crops, per_image=per_image), sources, chunksize=8):
            if len(crops):
                kept.setdefault(digest, crops)
    every = np.concatenate([kept[digest] for digest in sorted(kept)])
    np.random.default_rng(0).shuffle(every)
    np.save(crops_file, every)
    return len(every)


def _sources(packages: Path) -> Iterator[tuple[Path, str | None]]:
    """Files of images, and names of images in archives."""
    for path in sorted(packages.rglob("*")):
        suffix = path.suffix.lower()
        if path.is_symlink() or not path.is_file():
            continue
        if suffix in _IMAGES and not _NO_SURFACE.search(str(path.relative_to(packages))):
            yield path, None
        if suffix in _ARCHIVES:
            yield from ((path, name) for name in _members(path))


def _members(archive: Path) -> Sequence[str]:
    return [
        entry.filename
        for entry in _archive(archive).infolist()
        if Path(entry.filename).suffix.lower() in _IMAGES
        and entry.file_size < _ONE_IN
        and not _NO_SURFACE.search("/" + entry.filename)
    ]


@lru_cache(maxsize=2)
def _archive(path: Path) -> zipfile.ZipFile:
    """An open archive: reading the list of its files takes longer than reading one of them."""
    return zipfile.ZipFile(path)


def _crops(source: tuple[Path, str | None], per_image: int) -> tuple[str, NDArray[np.uint8]]:
    """The digest of an image's bytes, and its crops."""
    path, member = source
    content = path.read_bytes() if member is None else _archive(path).read(member)
    digest = hashlib.sha256(content).hexdigest()
    none = np.empty((0, SIDE, SIDE, 3), dtype=np.uint8)
    try:
        with Image.open(io.BytesIO(content)) as opened:
            if min(opened.size) < _LEAST_SIDE or opened.width * opened.height > _MOST_PIXELS:
                return digest, none
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, NotImplementedError, SyntaxError):
        return digest, none
    generator = np.random.default_rng(int(digest[:16], 16))
    crops = [_crop(image, generator) for _ in range(per_image)]
    kept = [crop for crop in crops if crop.mean(axis=2).std() >= _LEAST_DEVIATION]
    return digest, np.stack(kept) if kept else none


def _crop(image: Image.Image, generator: np.random.Generator) -> NDArray[np.uint8]:
    """A random square of at least `_LEAST_SIDE`, small ones as often as large ones."""
    most = min(image.size)
    side = round(float(np.exp(generator.uniform(np.log(_LEAST_SIDE), np.log(most)))))
    left = int(generator.integers(0, image.width - side + 1))
    top = int(generator.integers(0, image.height - side + 1))
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box))
