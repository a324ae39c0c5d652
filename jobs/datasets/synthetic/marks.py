"""Marks on a casting's face, as a camera sees it: a shape, and what it does to light.

Lengths are in radii of the part, so that a mark looks the same at any image size. Defects and
look-alikes are built of the same marks and overlap in size and darkness: darkness alone does not
tell them apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.synthetic.plane import Field, Plane

LIP, WALL = 0.012, 0.025
"""A pit's face falls from so far outside its outline to so far inside."""


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
