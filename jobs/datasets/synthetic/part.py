"""One physical part: its mould, its surface, and the marks on it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from jobs.datasets.synthetic.defects import Defect
from jobs.datasets.synthetic.lookalikes import draw_lookalikes
from jobs.datasets.synthetic.marks import Mark
from jobs.datasets.synthetic.moulds import Mould
from jobs.datasets.synthetic.plane import Field, log_uniform, wave

TILE = 128  # texels per side of the cast grain, which repeats
LATHE_ROWS = 160  # tool marks between the axis and twice the rim


@dataclass(frozen=True)
class Part:
    """One part of a mould. Lengths are in radii, tones in shares of white."""

    mould: Mould
    finish: float  # tone of the outer face
    rim: Field  # what the rim adds to its nominal radius, [TURN]
    lathe: Field  # brightness of the concentric tool marks, [LATHE_ROWS]
    grain: Field  # brightness of the cast skin, [TILE, TILE]
    lookalikes: Mapping[str, tuple[Mark, ...]]  # by kind
    defects: tuple[Mark, ...] = ()

    @property
    def marks(self) -> Iterator[Mark]:
        """All that is on its face."""
        for marks in self.lookalikes.values():
            yield from marks
        yield from self.defects


def draw_part(rng: np.random.Generator, hardness: float, mould: Mould) -> Part:
    """One sound part of a mould; `hardness`, 0 to 1, makes its look-alikes stronger."""
    grain = rng.standard_normal((TILE, TILE), np.float32)
    grain = grain + np.roll(grain, 1, axis=0) + np.roll(grain, 1, axis=1)
    lathe = rng.standard_normal(LATHE_ROWS, np.float32) * log_uniform(rng, 0.006, 0.022)
    as_cast = 1 - mould.turned  # darker, and rougher
    return Part(
        mould=mould,
        finish=rng.uniform(0.58, 0.68) - 0.12 * as_cast,
        rim=wave(rng, 2, 7) * 0.0015 + wave(rng, 30, 60) * 0.001,
        lathe=lathe * mould.turned,
        grain=grain * (log_uniform(rng, 0.005, 0.016) * (1 + as_cast)),
        lookalikes=draw_lookalikes(rng, hardness, mould),
    )


def damaged(part: Part, defect: Defect) -> Part:
    """The same part with the defect on it."""
    return replace(part, defects=(defect.mark,), rim=part.rim + defect.rim)
