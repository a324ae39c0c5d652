"""The moulds that parts are cast in: five geometries, each a face round an axis.

An impeller with vanes in a dark cavity, a wheel on spokes, and plates with two, three or four lugs
and a bolt hole in each. Lengths are in radii: no nominal outline reaches farther than 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jobs.datasets.synthetic.marks import Discs
from jobs.datasets.synthetic.plane import BEARINGS, TURN, Field, Plane

_NO_HOLES = Discs(np.zeros((0, 2), np.float32), np.zeros(0, np.float32))


class Spokes(NamedTuple):
    """The arms that hold a wheel's rim; between them one sees the table."""

    number: int
    half_width: float


@dataclass(frozen=True)
class Mould:
    """What all parts of one mould have in common."""

    form: str  # one of `FORMS`
    outline: Field  # nominal radius of the rim at each bearing, [TURN]
    bore: float  # radii of the rings' edges, from the axis outwards
    hub: float
    cavity: float
    neck: float
    groove: float  # where the outer face begins, on which marks lie
    floor: float  # tone between hub and cavity, in shares of the face's
    turned: float  # 1: the face is turned on a lathe; towards 0 it is as cast
    vanes: Field  # ridges round the hub, [TURN], zero where there are none
    twist: float = 0.0  # steps of a turn that a vane sweeps in one radius
    spokes: Spokes | None = None
    holes: Discs = _NO_HOLES

    def opening(self, plane: Plane) -> Field:
        """Distance to the edge of what one can see the table through, positive within."""
        depth: Field = np.maximum(self.bore - plane.radius, self.holes.inside(plane))
        if self.spokes:
            step = TURN / self.spokes.number
            off = np.abs((plane.turn + step / 2) % step - step / 2) * (2 * math.pi / TURN)
            beside = plane.radius * np.sin(off).astype(np.float32) - self.spokes.half_width
            ring = np.minimum(plane.radius - self.hub - 0.02, self.cavity - 0.02 - plane.radius)
            depth = np.maximum(depth, np.minimum(ring, beside))
        return depth

    def spots(
        self, rng: np.random.Generator, count: int, margin: float, spread: float = np.pi
    ) -> Field:
        """Points [count, 2] on the outer face, `margin` from its edges and off the holes.

        `spread` is how many radians they may lie to either side of one bearing.
        """
        middle, many = rng.uniform(0, 2 * np.pi), 8 * count
        bearings = middle + rng.uniform(-spread, spread, many)
        outer = self.outline[(bearings * (TURN / (2 * np.pi))).astype(np.intp) % TURN]
        room = np.minimum(margin, (outer - self.groove) / 2)
        radii = self.groove + room + rng.random(many) * (outer - self.groove - 2 * room)
        points = np.stack([radii * np.cos(bearings), radii * np.sin(bearings)], axis=1)
        away = np.linalg.norm(points[:, None] - self.holes.centres, axis=2) - self.holes.radii
        on_metal = (away > margin).all(axis=1)
        # Where a hole leaves no room, the last choice is what lies farthest from any.
        order = np.argsort(~on_metal, kind="stable")[:count]
        chosen: Field = points[order].astype(np.float32)
        return chosen


FORMS: Mapping[str, float] = {
    "impeller": 0.7,
    "wheel": 0.12,
    "flange": 0.06,
    "bracket": 0.06,
    "cover": 0.06,
}
"""The form of each mould, and its share of the parts; the last three have 2, 3 and 4 lugs."""

_LUGS = {"flange": 2, "bracket": 3, "cover": 4}


def draw_mould(form: str, rng: np.random.Generator) -> Mould:
    """One mould of a form; another state of the generator gives other dimensions."""
    if form == "impeller":
        return _impeller(rng)
    return _wheel(rng) if form == "wheel" else _plate(form, rng)


def _impeller(rng: np.random.Generator) -> Mould:
    hub, cavity = rng.uniform(0.27, 0.31), rng.uniform(0.51, 0.56)
    neck, blades = cavity + rng.uniform(0.06, 0.08), int(rng.integers(5, 10))
    ridge = np.cos(blades * BEARINGS) + 0.5 * np.cos(2 * blades * BEARINGS + rng.uniform(0, 2))
    return Mould(
        form="impeller",
        outline=np.ones(TURN, np.float32),
        bore=hub - rng.uniform(0.06, 0.08),
        hub=hub,
        cavity=cavity,
        neck=neck,
        groove=neck + rng.uniform(0.015, 0.03),
        floor=rng.uniform(0.1, 0.2),
        turned=1.0,
        vanes=np.clip(ridge - 0.3, 0, None) * rng.uniform(0.06, 0.16),
        twist=float(rng.choice([-TURN, TURN])) * rng.uniform(0.25, 0.8),
    )


def _wheel(rng: np.random.Generator) -> Mould:
    hub, cavity = rng.uniform(0.22, 0.27), rng.uniform(0.58, 0.64)
    neck = cavity + rng.uniform(0.03, 0.05)
    return Mould(
        form="wheel",
        outline=np.ones(TURN, np.float32),
        bore=hub - rng.uniform(0.08, 0.12),
        hub=hub,
        cavity=cavity,
        neck=neck,
        groove=neck + rng.uniform(0.008, 0.015),
        floor=rng.uniform(0.7, 0.85),
        turned=rng.uniform(0.6, 1.0),
        vanes=np.zeros(TURN, np.float32),
        spokes=Spokes(int(rng.integers(4, 7)), rng.uniform(0.05, 0.08)),
    )


def _plate(form: str, rng: np.random.Generator) -> Mould:
    count, lug, body = _LUGS[form], rng.uniform(0.19, 0.23), rng.uniform(0.70, 0.76)
    bearings = np.arange(count) * (2 * np.pi / count)
    centres = (1 - lug) * np.stack([np.cos(bearings), np.sin(bearings)], axis=1)
    cavity = rng.uniform(0.32, 0.37)
    hub, neck = cavity - rng.uniform(0.06, 0.1), cavity + rng.uniform(0.03, 0.05)
    return Mould(
        form=form,
        outline=_hull(np.vstack([centres, [[0, 0]]]), np.array([lug] * count + [body])),
        bore=hub - rng.uniform(0.05, 0.09),
        hub=hub,
        cavity=cavity,
        neck=neck,
        groove=neck + rng.uniform(0.01, 0.02),
        floor=rng.uniform(0.55, 0.85),
        turned=rng.uniform(0.1, 0.3),
        vanes=np.zeros(TURN, np.float32),
        holes=Discs(centres.astype(np.float32), np.full(count, lug * rng.uniform(0.35, 0.5))),
    )


_GRAZING = 0.1  # cosine of an angle at which no tangent bounds the hull any more


def _hull(centres: np.ndarray, radii: np.ndarray) -> Field:
    """The radius at each bearing [TURN] of the convex hull of circles, the axis within it."""
    facing = np.stack([np.cos(BEARINGS), np.sin(BEARINGS)])
    support = (centres @ facing + radii[:, None]).max(axis=0)  # how far it reaches each way
    along = np.cos(BEARINGS[:, None] - BEARINGS)
    reach = np.where(along > _GRAZING, support / np.maximum(along, _GRAZING), np.inf)
    outline: Field = reach.min(axis=1).astype(np.float32)
    return outline
