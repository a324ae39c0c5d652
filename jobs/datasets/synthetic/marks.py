"""Marks on a casting's face, as a camera sees it: five kinds of defect, and harmless blemishes.

Lengths are in radii of the part, whose nominal rim is the unit circle, so that a mark looks the
same at any image size. A mark is a shape and what it does to light. Defects and blemishes are
built of the same marks and overlap in size and darkness: darkness alone does not tell them apart.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

TURN = 1024
"""Steps of a full turn in every table that runs round the part."""

BEARINGS: Field = np.linspace(0, 2 * np.pi, TURN, endpoint=False, dtype=np.float32)
"""The angle of each step of a turn, in radians."""

TRUE_RIM: Field = np.zeros(TURN, np.float32)
"""What a defect that leaves the rim alone adds to it."""

LIP, WALL = 0.012, 0.025
"""A pit's face falls from so far outside its outline to so far inside."""


class Plane(NamedTuple):
    """Where each pixel of one photograph lies on the part; arrays are [size, size]."""

    x: Field
    y: Field
    radius: Field  # 1 at the nominal rim
    turn: NDArray[np.intp]  # index into BEARINGS
    pixel: float  # width of one pixel
    rotation: float  # radians by which the photograph shows the part turned


def aim(rng: np.random.Generator, size: int) -> Plane:
    """A camera over a part: any rotation, a slight tilt, a small shift; the whole part in view."""
    rotation, tilt = rng.uniform(0, 2 * np.pi, 2).tolist()
    scale, squash = rng.uniform(0.76, 0.84), rng.uniform(0.95, 1.0)
    left, top = rng.uniform(-0.04, 0.04, 2).tolist()
    row = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    right, down = row[None, :] - left, row[:, None] - top
    # Undo the tilt along its own axis first, then the rotation.
    cos, sin = math.cos(tilt), math.sin(tilt)
    along, across = (right * cos + down * sin) / squash, down * cos - right * sin
    cos, sin = math.cos(tilt - rotation), math.sin(tilt - rotation)
    x, y = (along * cos - across * sin) / scale, (along * sin + across * cos) / scale
    turn = (np.arctan2(y, x) * (TURN / (2 * math.pi))).astype(np.intp) % TURN
    return Plane(x, y, np.sqrt(x * x + y * y), turn, 2 / size / scale, rotation)


class Discs(NamedTuple):
    """The union of round spots: centres [n, 2] and radii [n]."""

    centres: Field
    radii: NDArray[np.floating]

    def inside(self, plane: Plane) -> Field:
        """Distance to the outline [size, size], positive within."""
        depth = np.full_like(plane.x, -np.inf)
        for (x, y), radius in zip(self.centres.tolist(), self.radii.tolist(), strict=True):
            away = np.sqrt(np.square(plane.x - x) + np.square(plane.y - y))
            np.maximum(depth, radius - away, out=depth)
        return depth


class Line(NamedTuple):
    """A polyline through points [n, 2], of half-widths [n] at its points."""

    points: Field
    widths: NDArray[np.floating]

    def inside(self, plane: Plane) -> Field:
        """Distance to the outline [size, size], positive within."""
        depth = np.full_like(plane.x, -np.inf)
        for start, end, width in zip(self.points, self.points[1:], self.widths, strict=False):
            (x, y), (along_x, along_y) = start.tolist(), (end - start).tolist()
            east, south = plane.x - x, plane.y - y
            reach = (east * along_x + south * along_y) / (along_x**2 + along_y**2)
            np.clip(reach, 0, 1, out=reach)
            away = np.sqrt(np.square(east - reach * along_x) + np.square(south - reach * along_y))
            np.maximum(depth, float(width) - away, out=depth)
        return depth


class Fringe(NamedTuple):
    """What lies between two outlines round the part, radii [TURN]; nothing where low > high."""

    low: Field
    high: Field

    def inside(self, plane: Plane) -> Field:
        """Distance to the outline [size, size], positive within."""
        above, below = plane.radius - self.low[plane.turn], self.high[plane.turn] - plane.radius
        depth: Field = np.minimum(above, below)
        return depth


@dataclass(frozen=True)
class Mark:
    """One shape and what it does to the light that falls on it."""

    shape: Discs | Line | Fringe
    dark: float  # share of the light it swallows; below 0 it shines
    steep: float = 0.0  # slope of its walls, falling inwards; below 0 it stands proud
    soft: float = 0.0  # width of its edge, never drawn narrower than a pixel

    def relief(self, plane: Plane) -> tuple[Field, Field]:
        """The factor on reflected light and the height added to the face, [size, size] each."""
        inside = self.shape.inside(plane)
        cover = np.clip(inside / max(self.soft, plane.pixel) + 0.5, 0, 1)
        return 1 - self.dark * cover, -self.steep * np.clip(inside, -LIP, WALL)


def relief(marks: Iterable[Mark], plane: Plane) -> tuple[Field, Field]:
    """What all marks together do: factor on reflected light and added height, [size, size]."""
    tint, height = np.ones_like(plane.x), np.zeros_like(plane.x)
    for mark in marks:
        factor, rise = mark.relief(plane)
        tint, height = tint * factor, height + rise
    return tint, height


class Defect(NamedTuple):
    """What is wrong with a part: one mark, and the radius that it adds to the rim [TURN]."""

    mark: Mark
    rim: Field = TRUE_RIM

    def mask(self, plane: Plane) -> NDArray[np.bool_]:
        """The pixels of the part that it touches, [size, size]; at least the nearest to it."""
        margin = -plane.pixel / 2
        metal = (1 + np.maximum(self.rim, 0))[plane.turn] - plane.radius
        inside = np.where(metal > margin, self.mark.shape.inside(plane), -np.inf)
        touched: NDArray[np.bool_] = inside >= min(inside.max(), margin)
        return touched


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between `low` and `high` whose logarithm is uniform: small ones are common."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def wave(rng: np.random.Generator, slowest: int, fastest: int) -> Field:
    """A smooth random table round the part [TURN], of variance 1, in so many cycles a turn."""
    cycles = np.arange(slowest, fastest + 1, dtype=np.float32)[:, None]
    phases = rng.uniform(0, 2 * np.pi, (len(cycles), 1)).astype(np.float32)
    mixed: Field = np.cos(cycles * BEARINGS + phases).sum(axis=0) * math.sqrt(2 / len(cycles))
    return mixed


def _spots(
    rng: np.random.Generator, inner: float, count: int, margin: float, spread: float = np.pi
) -> Field:
    """Points [count, 2] on the flange, `margin` from its edges, `spread` radians either way."""
    room = min(margin, (1 - inner) / 2)
    radii = rng.uniform(inner + room, 1 - room, (count, 1))
    bearings = rng.uniform(0, 2 * np.pi) + rng.uniform(-spread, spread, (count, 1))
    points = np.hstack([radii * np.cos(bearings), radii * np.sin(bearings)])
    return points.astype(np.float32)


def _darkness(rng: np.random.Generator) -> float:
    """Share of light a defect swallows: mostly much, but a third take less than half."""
    return 0.97 * math.pow(rng.random(), 0.63)


def _blowhole(rng: np.random.Generator, inner: float) -> Defect:
    """One to three gas bubbles cut open by the lathe, each a few round pits run together."""
    size = log_uniform(rng, 0.04, 0.2)
    bubbles = np.repeat(_spots(rng, inner, int(rng.integers(1, 4)), size), 3, axis=0)
    centres = bubbles + rng.normal(0, 0.35 * size, bubbles.shape).astype(np.float32)
    radii = size * rng.uniform(0.4, 0.95, len(centres))
    dark = _darkness(rng)
    return Defect(Mark(Discs(centres, radii), dark, steep=rng.uniform(1.0, 2.0) * dark))


def _pinholes(rng: np.random.Generator, inner: float) -> Defect:
    """Dissolved gas come out while the metal froze: a swarm of tiny pits."""
    count = int(rng.integers(10, 36))
    centres = _spots(rng, inner, count, margin=0.03, spread=rng.uniform(0.1, 0.4))
    radii = rng.uniform(0.4, 1.0, count) * log_uniform(rng, 0.018, 0.048)
    dark = _darkness(rng)
    return Defect(Mark(Discs(centres, radii), dark, steep=0.6 * dark))


def _crack(rng: np.random.Generator, inner: float) -> Defect:
    """Metal torn while it shrank: a thin jagged line, more across the ring than along it."""
    count = int(rng.integers(5, 9))
    centre = _spots(rng, inner, 1, margin=0.12)[0]
    heading = math.atan2(centre[1], centre[0]) + rng.normal(0, 0.8)
    courses = heading + rng.normal(0, 0.55, count)
    steps = np.stack([np.cos(courses), np.sin(courses)], axis=1)
    points = np.cumsum(np.vstack([np.zeros(2), steps]), axis=0)
    points = centre + (points - points.mean(axis=0)) * log_uniform(rng, 0.25, 0.7) / count
    widths = log_uniform(rng, 0.011, 0.045) * np.linspace(1, 0.4, count + 1)
    return Defect(Mark(Line(points.astype(np.float32), widths), _darkness(rng)))


def _arc(rng: np.random.Generator, half_width: float, ragged: Field) -> Field:
    """A ragged bump round a random bearing, [TURN], from 0 off the arc to about 1 within."""
    away = np.abs((BEARINGS - rng.uniform(0, 2 * np.pi) + np.pi) % (2 * np.pi) - np.pi)
    bump = np.sqrt(np.clip(1 - np.square(away / half_width), 0, None))
    profile: Field = np.clip(bump * (1 + ragged), 0, 1.3)
    return profile


def _chipped_rim(rng: np.random.Generator, _inner: float) -> Defect:
    """A bite knocked out of the edge: its outer part is gone, the inner is dull fracture."""
    depth = log_uniform(rng, 0.05, 0.28)
    profile = _arc(rng, depth * rng.uniform(1.0, 2.4), 0.12 * wave(rng, 10, 30))
    # Off the arc the facet would begin where the part has long ended, so nothing is drawn there.
    facet = Fringe(np.where(profile > 0, 1 - depth * profile, 2), np.ones_like(profile))
    gone = rng.uniform(0.35, 0.7) * depth * profile
    return Defect(Mark(facet, 0.8 * _darkness(rng), steep=0.7), -gone)


def _flash(rng: np.random.Generator, _inner: float) -> Defect:
    """Metal squeezed out between the mould halves: ragged fins outside the rim."""
    height = log_uniform(rng, 0.04, 0.1)
    profile = _arc(rng, rng.uniform(0.3, 2.2), 0.6 * wave(rng, 3, 28) - 0.4)
    fins = Fringe(np.ones_like(profile), np.where(profile > 0, 1 + height * profile, 0))
    return Defect(Mark(fins, rng.uniform(-0.2, 0.7), steep=-0.9), height * profile)


KINDS: Mapping[str, tuple[float, Callable[[np.random.Generator, float], Defect]]] = {
    "blowhole": (0.40, _blowhole),
    "pinholes": (0.22, _pinholes),
    "crack": (0.18, _crack),
    "chipped-rim": (0.14, _chipped_rim),
    "flash": (0.06, _flash),
}
"""Each kind of defect: its share among defective parts, and how one is drawn."""


def draw_defect(rng: np.random.Generator, inner: float) -> tuple[str, Defect]:
    """A kind, drawn in the shares of `KINDS`, and one defect of that kind.

    Pits and cracks lie on the flange, which begins at the radius `inner` and ends at 1.
    """
    kind = str(rng.choice(list(KINDS), p=[share for share, _ in KINDS.values()]))
    return kind, KINDS[kind][1](rng, inner)


def _stains(rng: np.random.Generator, inner: float) -> Mark:
    """Coolant dried on the metal: wide and soft, a little darker or lighter."""
    centres = _spots(rng, inner, int(rng.integers(1, 4)), margin=0.03)
    stains = Discs(centres, rng.uniform(0.03, 0.16, len(centres)))
    return Mark(stains, rng.uniform(-0.07, 0.12), soft=rng.uniform(0.08, 0.2))


def _dust(rng: np.random.Generator, inner: float) -> Mark:
    """Grains lying on the metal: as small as pinholes, but few, faint, scattered and flat."""
    centres = _spots(rng, inner, int(rng.integers(1, 6)), margin=0.02)
    grains = Discs(centres, rng.uniform(0.008, 0.02, len(centres)))
    return Mark(grains, rng.uniform(-0.2, 0.25), soft=0.03)


def _scratch(rng: np.random.Generator, inner: float) -> Mark:
    """A straight score from handling: thin as a crack, but bright more often than dark."""
    heading, reach = rng.uniform(0, np.pi), rng.uniform(0.04, 0.16)
    end = np.array([[math.cos(heading), math.sin(heading)]], np.float32) * reach
    centre = _spots(rng, inner, 1, margin=0.05)
    score = Line(np.vstack([centre - end, centre + end]), np.full(2, rng.uniform(0.004, 0.009)))
    return Mark(score, rng.uniform(-0.3, 0.12))


PREVALENCE = 0.4
"""Share of parts, sound or not, that bear each sort of blemish."""


def draw_blemishes(rng: np.random.Generator, inner: float) -> tuple[Mark, ...]:
    """The harmless marks of one part, perhaps none; arguments as in `draw_defect`."""
    sorts = (_stains, _dust, _scratch, _scratch)
    return tuple(draw(rng, inner) for draw in sorts if rng.random() < PREVALENCE)
