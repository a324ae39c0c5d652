"""Castings drawn on the spot, so that everything runs with nothing downloaded.

A part is cast in one of five moulds and bears a few look-alikes: stains, tool marks, letters,
chalk. A photograph shows one part turned, shifted, tilted, lit and exposed in its own way. Whether
a part is defective is drawn independently of everything else, so neither mould, brightness,
framing nor look-alikes tell the classes apart.

Randomness is a tree per pool: `SeedSequence(seed)` draws the lots that make parts defective, its
child `(mould,)` a mould, `(part, 0)` the part, `(part, 1)` its defect, `(part, 2 + shot)` one
photograph. So a part looks the same however many others are drawn. Its verdict may change with
number and share of defective parts, but as seldom as can be: those of the lowest lots are
defective. Equal specs give equal castings on every machine as far as numpy does: the last bit of a
sine or an exponential may differ, and a rare pixel with it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.synthetic.defects import draw_defect
from jobs.datasets.synthetic.moulds import FORMS, draw_mould
from jobs.datasets.synthetic.part import damaged, draw_part
from jobs.datasets.synthetic.photograph import photograph
from jobs.datasets.synthetic.spec import SyntheticSpec


class SyntheticCasting(NamedTuple):
    """One photograph of one part, with its truth."""

    image: NDArray[np.uint8]  # [size, size], grey
    mask: NDArray[np.bool_]  # [size, size], true where the defect is; all false when ok
    label: str  # "ok" or "def"
    part: str  # "part-0007"; the first is 0
    name: str  # "part-0007-shot-2"; the first is 0
    kind: str  # a key of `jobs.datasets.synthetic.defects.KINDS`, empty when ok
    mould: str  # one of `jobs.datasets.synthetic.moulds.FORMS`
    lookalikes: tuple[str, ...]  # keys of `jobs.datasets.synthetic.lookalikes.LOOKALIKES`


def draw_castings(spec: SyntheticSpec) -> Iterator[SyntheticCasting]:
    """All photographs of the pool, part by part; nothing is kept, a large pool costs no memory."""
    moulds = {form: draw_mould(form, _stream(spec.seed, i)) for i, form in enumerate(FORMS)}
    for index, defective in enumerate(_verdicts(spec)):
        rng, name = _stream(spec.seed, index, 0), f"part-{index:04d}"
        form = str(rng.choice(list(FORMS), p=list(FORMS.values())))
        part = draw_part(rng, spec.hardness, moulds[form])
        kind, defect = draw_defect(_stream(spec.seed, index, 1), spec.hardness, part.mould)
        shown, kind, label = (
            (damaged(part, defect), kind, "def") if defective else (part, "", "ok")
        )
        of_part = kind, part.mould.form, tuple(part.lookalikes)
        for shot in range(rng.integers(1, spec.shots, endpoint=True)):
            image, plane = photograph(shown, _stream(spec.seed, index, 2 + shot), spec.size)
            mask = defect.mask(part.mould, plane) if defective else np.zeros_like(image, np.bool_)
            yield SyntheticCasting(image, mask, label, name, f"{name}-shot-{shot}", *of_part)


def _stream(seed: int, *branch: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=branch)))


def _verdicts(spec: SyntheticSpec) -> NDArray[np.bool_]:
    """Which parts are defective, [parts]: those of the lowest lots."""
    lots = _stream(spec.seed).random(spec.parts)
    ranks = np.argsort(np.argsort(lots, kind="stable"), kind="stable")
    return ranks < round(spec.parts * spec.defect_share)
