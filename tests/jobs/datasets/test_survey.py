"""Every casting is looked at, not the first few."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.datasets.reader import read_data_set
from jobs.datasets.survey import Survey, survey
from models.images import BitsInUse, Preprocessing, decode

TINT = np.array([60, -21, -60])  # as bright as no tint
EIGHT = BitsInUse(8, 0)


def shot(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(70, 180, (32, 32)).astype(np.uint8)


def written(folder: Path, pixels: list[np.ndarray]) -> Path:
    for number, values in enumerate(pixels):
        Image.fromarray(values).save(folder / f"{number:03d}.png")
    return folder


def test_a_few_tinted_castings_among_many_are_found_wherever_they_lie(tmp_path: Path):
    pixels = [np.repeat(shot(n)[..., None], 3, axis=2) for n in range(100)]
    tinted = {n: (pixels[n].astype(int) + TINT).astype(np.uint8) for n in (40, 99)}
    for number, values in tinted.items():
        pixels[number] = values
    found = survey(read_data_set(written(tmp_path, pixels), {}))
    assert found == Survey(100, 2, EIGHT)
    assert found.channels("auto") == (3, "2 of 100 castings are tinted: colour")
    assert found.channels("grey") == (1, "2 of 100 castings are tinted, --channels grey: grey")


def test_of_grey_castings_the_choice_is_grey_unless_colour_is_asked_for(tmp_path: Path):
    found = survey(read_data_set(written(tmp_path, [shot(n) for n in range(3)]), {}))
    assert found.channels("auto") == (1, "0 of 3 castings are tinted: grey")
    assert found.channels("colour")[0] == 3


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_bits_of_all_castings_make_each_as_its_twin_of_8(tmp_path: Path, bits: int):
    twins = [shot(n) // share for n, share in ((0, 1), (1, 2), (2, 1))]
    castings = [twin.astype(np.uint16) << (bits - 8) for twin in twins]
    data = read_data_set(written(tmp_path, castings), {})
    found = survey(data).bits
    assert found == BitsInUse(bits, bits - 1)
    form = Preprocessing(size=32, **found._asdict())
    for casting in data.castings:
        twin = twins[int(casting.paths[0][:3])]
        assert np.array_equal(decode(data.read(casting), form)[0], twin)


def test_castings_that_were_looked_at_are_not_read_again(tmp_path: Path):
    data = read_data_set(written(tmp_path, [shot(n) for n in range(3)]), {})
    found = survey(data)
    for casting in data.castings:
        (data.root / casting.paths[0]).unlink()
    assert survey(data) is found
