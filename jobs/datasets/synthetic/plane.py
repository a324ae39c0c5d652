"""Where the pixels of a photograph lie on a part, and the random draws that all of it shares."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

TURN = 1024
"""Steps of a full turn in every table that runs round the part."""

BEARINGS: Field = np.linspace(0, 2 * np.pi, TURN, endpoint=False, dtype=np.float32)
"""The angle of each step of a turn, in radians."""


class Plane(NamedTuple):
    """Where each pixel of one photograph lies on the part; arrays are [size, size]."""

    x: Field
    y: Field
    radius: Field  # 1 is the farthest that any nominal outline reaches
    turn: NDArray[np.intp]  # index into BEARINGS
    pixel: float  # width of one pixel
    rotation: float  # radians by which the photograph shows the part turned


def aim(rng: np.random.Generator, size: int) -> Plane:
    """A camera over a part: any rotation, a slight tilt, a small shift; the whole part in view."""
    rotation, tilt = rng.uniform(0, 2 * np.pi, 2).tolist()
    scale, squash = rng.uniform(0.80, 0.87), rng.uniform(0.95, 1.0)
    left, top = rng.uniform(-0.03, 0.03, 2).tolist()
    row = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    right, down = row[None, :] - left, row[:, None] - top
    # Undo the tilt along its own axis first, then the rotation.
    cos, sin = math.cos(tilt), math.sin(tilt)
    along, across = (right * cos + down * sin) / squash, down * cos - right * sin
    cos, sin = math.cos(tilt - rotation), math.sin(tilt - rotation)
    x, y = (along * cos - across * sin) / scale, (along * sin + across * cos) / scale
    return Plane(x, y, np.sqrt(x * x + y * y), turn_of(x, y), 2 / size / scale, rotation)


def turn_of(x: Field, y: Field) -> NDArray[np.intp]:
    """The index into BEARINGS of the direction from the axis to each point."""
    turn: NDArray[np.intp] = (np.arctan2(y, x) * (TURN / (2 * math.pi))).astype(np.intp) % TURN
    return turn


def covered(inside: Field, plane: Plane) -> Field:
    """The share of each pixel that lies within an outline, given the distance to it."""
    share: Field = np.clip(inside / plane.pixel + 0.5, 0, 1)
    return share


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between `low` and `high` whose logarithm is uniform: small ones are common."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def wave(rng: np.random.Generator, slowest: int, fastest: int) -> Field:
    """A smooth random table round the part [TURN], of variance 1, in so many cycles a turn."""
    cycles = np.arange(slowest, fastest + 1, dtype=np.float32)[:, None]
    phases = rng.uniform(0, 2 * np.pi, (len(cycles), 1)).astype(np.float32)
    mixed: Field = np.cos(cycles * BEARINGS + phases).sum(axis=0) * math.sqrt(2 / len(cycles))
    return mixed
