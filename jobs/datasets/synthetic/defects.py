"""The defects of castings: seven kinds, each drawn between blatant and barely visible."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.synthetic.marks import Discs, Fringe, Line, Mark
from jobs.datasets.synthetic.moulds import Mould
from jobs.datasets.synthetic.plane import BEARINGS, TURN, Field, Plane, wave

_TRUE_RIM: Field = np.zeros(TURN, np.float32)  # what a defect that leaves the rim alone adds to it
_FAINTEST, _DARKEST = 0.1, 0.97  # shares of light that defects swallow


class Defect(NamedTuple):
    """What is wrong with a part: one mark, and the radius that it adds to the rim [TURN]."""

    mark: Mark
    rim: Field = _TRUE_RIM

    def mask(self, mould: Mould, plane: Plane) -> NDArray[np.bool_]:
        """The pixels of the part that it touches, [size, size]; at least the nearest to it."""
        margin = -plane.pixel / 2
        within = (mould.outline + np.maximum(self.rim, 0))[plane.turn] - plane.radius
        metal = (within > margin) & (mould.opening(plane) < -margin)
        inside = np.where(metal, self.mark.shape.inside(plane), -np.inf)
        touched: NDArray[np.bool_] = inside >= min(inside.max(), margin)
        return touched


class Severity:
    """How large and how dark the defects of one part are: the harder, the less of both."""

    def __init__(self, rng: np.random.Generator, hardness: float) -> None:
        self._rng = rng
        # The mean of 1 - u ** e, u uniform, is e / (e + 1): 0.96 at hardness 0, 0.23 at 1. At any
        # hardness some are nearly as small as can be.
        self._exponent = 24 * 0.0125**hardness

    def size(self, low: float, high: float) -> float:
        """A length between `low` and `high`, on a logarithmic scale."""
        return low * math.pow(high / low, self._draw(self._exponent))

    def darkness(self) -> float:
        """Share of the light that is swallowed; faint defects are commoner than small ones."""
        return _FAINTEST + (_DARKEST - _FAINTEST) * self._draw(self._exponent / 2)

    def _draw(self, exponent: float) -> float:
        return 1 - math.pow(self._rng.random(), exponent)


Draw = Callable[[np.random.Generator, Severity, Mould], Defect]


def _blowhole(rng: np.random.Generator, severity: Severity, mould: Mould) -> Defect:
    """One to three gas bubbles cut open by the tool, each a few round pits run together."""
    size = severity.size(0.035, 0.22)
    bubbles = np.repeat(mould.spots(rng, int(rng.integers(1, 4)), size), 3, axis=0)
    centres = bubbles + rng.normal(0, 0.35 * size, bubbles.shape).astype(np.float32)
    radii = size * rng.uniform(0.4, 0.95, len(centres))
    dark = severity.darkness()
    return Defect(Mark(Discs(centres, radii), dark, steep=rng.uniform(1.0, 2.0) * dark))


def _pinholes(rng: np.random.Generator, severity: Severity, mould: Mould) -> Defect:
    """Dissolved gas come out while the metal froze: a swarm of tiny pits."""
    count = int(rng.integers(10, 36))
    centres = mould.spots(rng, count, margin=0.03, spread=rng.uniform(0.1, 0.4))
    radii = rng.uniform(0.4, 1.0, count) * severity.size(0.018, 0.055)
    dark = severity.darkness()
    return Defect(Mark(Discs(centres, radii), dark, steep=0.6 * dark))


def _crack(rng: np.random.Generator, severity: Severity, mould: Mould) -> Defect:
    """Metal torn while it shrank: a thin jagged line, more across the face than round it."""
    count = int(rng.integers(5, 9))
    centre = mould.spots(rng, 1, margin=0.12)[0]
    heading = math.atan2(centre[1], centre[0]) + rng.normal(0, 0.8)
    courses = heading + rng.normal(0, 0.55, count)
    steps = np.stack([np.cos(courses), np.sin(courses)], axis=1)
    points = np.cumsum(np.vstack([np.zeros(2), steps]), axis=0)
    points = centre + (points - points.mean(axis=0)) * severity.size(0.2, 0.7) / count
    widths = severity.size(0.01, 0.045) * np.linspace(1, 0.4, count + 1)
    return Defect(Mark(Line(points.astype(np.float32), widths), severity.darkness()))


def _cold_shut(rng: np.random.Generator, severity: Severity, mould: Mould) -> Defect:
    """Two streams of metal that met too cold to fuse: a smooth, bent seam with rounded lips."""
    centre = mould.spots(rng, 1, margin=0.1)[0]
    heading, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.7)
    courses = heading + bend * np.linspace(-0.5, 0.5, 7)
    steps = np.stack([np.cos(courses), np.sin(courses)], axis=1)
    points = np.cumsum(np.vstack([np.zeros(2), steps]), axis=0)
    points = centre + (points - points.mean(axis=0)) * severity.size(0.2, 0.6) / 7
    widths = severity.size(0.012, 0.04) * np.sin(np.linspace(0.4, np.pi - 0.4, 8))
    dark = severity.darkness()
    seam = Line(points.astype(np.float32), widths)
    return Defect(Mark(seam, 0.7 * dark, steep=1.4 * dark, soft=0.02))


def _inclusion(rng: np.random.Generator, severity: Severity, mould: Mould) -> Defect:
    """Slag or sand caught in the metal: an angular fleck, flat, its edge without walls."""
    centre = mould.spots(rng, 1, margin=0.06)[0]
    size, count = severity.size(0.03, 0.13), int(rng.integers(4, 8))
    points = centre + rng.normal(0, 0.45 * size, (count, 2))
    widths = size * rng.uniform(0.15, 0.5, count)
    return Defect(Mark(Line(points.astype(np.float32), widths), severity.darkness()))


def _arc(rng: np.random.Generator, half_width: float, ragged: Field) -> Field:
    """A ragged bump round a random bearing, [TURN], from 0 off the arc to about 1 within."""
    away = np.abs((BEARINGS - rng.uniform(0, 2 * np.pi) + np.pi) % (2 * np.pi) - np.pi)
    bump = np.sqrt(np.clip(1 - np.square(away / half_width), 0, None))
    profile: Field = np.clip(bump * (1 + ragged), 0, 1.3)
    return profile


def _chipped_rim(rng: np.random.Generator, severity: Severity, mould: Mould) -> Defect:
    """A bite knocked out of the edge: its outer part is gone, the inner is dull fracture."""
    depth = severity.size(0.04, 0.28)
    profile = _arc(rng, depth * rng.uniform(1.0, 2.4), 0.12 * wave(rng, 10, 30))
    # Off the arc the facet would begin where the part has long ended, so nothing is drawn there.
    facet = Fringe(np.where(profile > 0, mould.outline - depth * profile, 2), mould.outline)
    gone = rng.uniform(0.35, 0.7) * depth * profile
    return Defect(Mark(facet, 0.8 * severity.darkness(), steep=0.7), -gone)


def _flash(rng: np.random.Generator, severity: Severity, mould: Mould) -> Defect:
    """A burr: metal squeezed out between the mould halves, in ragged fins outside the rim."""
    height = severity.size(0.03, 0.09)
    profile = _arc(rng, rng.uniform(0.3, 2.2), 0.6 * wave(rng, 3, 28) - 0.4)
    tips = np.where(profile > 0, mould.outline + height * profile, 0)
    fins = Mark(Fringe(mould.outline, tips), rng.uniform(-0.2, 0.7), steep=-0.9)
    return Defect(fins, height * profile)


KINDS: Mapping[str, tuple[float, Draw]] = {
    "blowhole": (0.44, _blowhole),
    "pinholes": (0.25, _pinholes),
    "crack": (0.11, _crack),
    "inclusion": (0.08, _inclusion),
    "cold-shut": (0.06, _cold_shut),
    "chipped-rim": (0.04, _chipped_rim),
    "flash": (0.02, _flash),
}
"""Each kind of defect: its share among defective parts, and how one is drawn."""


def draw_defect(rng: np.random.Generator, hardness: float, mould: Mould) -> tuple[str, Defect]:
    """A kind, drawn in the shares of `KINDS`, and one defect of that kind.

    The draws do not depend on `hardness`, 0 to 1: the same defect is smaller and fainter where
    it is higher.
    """
    kind = str(rng.choice(list(KINDS), p=[share for share, _ in KINDS.values()]))
    return kind, KINDS[kind][1](rng, Severity(rng, hardness), mould)
