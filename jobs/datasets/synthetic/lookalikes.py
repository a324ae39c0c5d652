"""What looks like a defect and is none: marks that sound and defective parts bear alike."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from jobs.datasets.synthetic.marks import Discs, Line, Mark
from jobs.datasets.synthetic.moulds import Mould
from jobs.datasets.synthetic.plane import Field

Draw = Callable[[np.random.Generator, float, Mould], tuple[Mark, ...]]


def _stain(rng: np.random.Generator, strength: float, mould: Mould) -> tuple[Mark, ...]:
    """Coolant dried on the metal: wide and soft, a little darker or lighter."""
    centres = mould.spots(rng, int(rng.integers(1, 4)), margin=0.03)
    stains = Discs(centres, rng.uniform(0.03, 0.16, len(centres)))
    dark = strength * rng.uniform(-0.1, 0.2)
    return (Mark(stains, dark, soft=rng.uniform(0.08, 0.2)),)


def _oil(rng: np.random.Generator, strength: float, mould: Mould) -> tuple[Mark, ...]:
    """A drop of oil: as dark as a blowhole and as large, but its edge is soft and has no wall."""
    size = rng.uniform(0.03, 0.12)
    centres = np.repeat(mould.spots(rng, 1, margin=size), 2, axis=0)
    centres = centres + rng.normal(0, 0.4 * size, centres.shape).astype(np.float32)
    drop = Discs(centres, size * rng.uniform(0.5, 1.0, 2))
    return (Mark(drop, strength * rng.uniform(0.15, 0.6), soft=0.6 * size),)


def _dust(rng: np.random.Generator, strength: float, mould: Mould) -> tuple[Mark, ...]:
    """Grains lying on the metal: as small as pinholes, but few, scattered and flat."""
    centres = mould.spots(rng, int(rng.integers(2, 9)), margin=0.02)
    grains = Discs(centres, rng.uniform(0.008, 0.024, len(centres)))
    return (Mark(grains, strength * rng.uniform(-0.3, 0.6), soft=0.03),)


def _scratch(rng: np.random.Generator, strength: float, mould: Mould) -> tuple[Mark, ...]:
    """A straight score from handling: thin as a crack, but bright more often than dark."""
    heading, reach = rng.uniform(0, np.pi), rng.uniform(0.04, 0.2)
    end = np.array([[math.cos(heading), math.sin(heading)]], np.float32) * reach
    centre = mould.spots(rng, 1, margin=0.05)
    score = Line(np.vstack([centre - end, centre + end]), np.full(2, rng.uniform(0.004, 0.01)))
    return (Mark(score, strength * rng.uniform(-0.5, 0.3)),)


def _tool_marks(rng: np.random.Generator, strength: float, mould: Mould) -> tuple[Mark, ...]:
    """Chatter of the tool: two to five short dark arcs, all round the axis, evenly apart."""
    middle, pitch = mould.spots(rng, 1, margin=0.1)[0], rng.uniform(0.02, 0.035)
    radius, bearing = math.hypot(*middle), math.atan2(middle[1], middle[0])
    swept = bearing + np.linspace(-0.5, 0.5, 6) * rng.uniform(0.15, 0.5)
    facing = np.stack([np.cos(swept), np.sin(swept)], axis=1).astype(np.float32)
    count, width = int(rng.integers(2, 6)), np.full(6, rng.uniform(0.004, 0.009))
    dark = strength * rng.uniform(0.15, 0.6)
    offsets = pitch * (np.arange(count) - (count - 1) / 2)
    return tuple(Mark(Line(facing * (radius + o), width), dark) for o in offsets.tolist())


def _ejector(rng: np.random.Generator, strength: float, mould: Mould) -> tuple[Mark, ...]:
    """Where an ejector pin pushed the part out: the print of a round rim."""
    radius = rng.uniform(0.04, 0.08)
    centre, turn = mould.spots(rng, 1, margin=0.1), np.linspace(0, 2 * np.pi, 15)
    rim = centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    print_ = Line(rim, np.full(15, rng.uniform(0.006, 0.012)))
    return (Mark(print_, strength * rng.uniform(0.05, 0.35), steep=strength * 0.8),)


_LETTERS = (  # the ends of their strokes, x, y, x, y, in a box of height 2: I, L, T, V, X, Z
    ((0, -1, 0, 1),),
    ((-0.5, -1, -0.5, 1), (-0.5, 1, 0.5, 1)),
    ((-0.6, -1, 0.6, -1), (0, -1, 0, 1)),
    ((-0.6, -1, 0, 1), (0, 1, 0.6, -1)),
    ((-0.6, -1, 0.6, 1), (-0.6, 1, 0.6, -1)),
    ((-0.6, -1, 0.6, -1), (0.6, -1, -0.6, 1), (-0.6, 1, 0.6, 1)),
)


def _letters(rng: np.random.Generator, strength: float, mould: Mould) -> tuple[Mark, ...]:
    """A foundry's mark or number of the cavity: two to four letters that stand proud."""
    middle, height = mould.spots(rng, 1, margin=0.12)[0], rng.uniform(0.035, 0.055)
    tilt = math.atan2(middle[1], middle[0]) + np.pi / 2
    axes = np.array([[math.cos(tilt), math.sin(tilt)], [-math.sin(tilt), math.cos(tilt)]])
    count, steep = int(rng.integers(2, 5)), -strength * rng.uniform(0.6, 1.2)
    chosen = rng.integers(0, len(_LETTERS), count)
    marks = []
    for column, letter in enumerate(chosen.tolist()):
        for stroke in _LETTERS[letter]:
            ends = np.reshape(stroke, (2, 2)).astype(np.float32)
            ends[:, 0] += 1.9 * (column - (count - 1) / 2)
            points: Field = (middle + height * ends @ axes).astype(np.float32)
            marks.append(Mark(Line(points, np.full(2, 0.008)), 0.0, steep))
    return tuple(marks)


def _chalk(rng: np.random.Generator, strength: float, mould: Mould) -> tuple[Mark, ...]:
    """A stroke of the checker's chalk: as long and crooked as a crack, but pale and soft."""
    centre, heading = mould.spots(rng, 1, margin=0.1)[0], rng.uniform(0, 2 * np.pi)
    courses = heading + np.cumsum(rng.normal(0, 0.5, 5))
    steps = np.stack([np.cos(courses), np.sin(courses)], axis=1)
    points = np.cumsum(steps, axis=0) * rng.uniform(0.04, 0.09)
    line = Line((centre + points - points.mean(axis=0)).astype(np.float32), np.full(5, 0.014))
    return (Mark(line, -strength * rng.uniform(0.1, 0.35), soft=0.03),)


LOOKALIKES: Mapping[str, Draw] = {
    "stain": _stain,
    "oil": _oil,
    "dust": _dust,
    "scratch": _scratch,
    "tool-marks": _tool_marks,
    "ejector": _ejector,
    "letters": _letters,
    "chalk": _chalk,
}
"""Each kind of look-alike, and how one is drawn."""

PREVALENCE = 0.25
"""Share of parts, sound or not, that bear each kind of look-alike."""


def draw_lookalikes(
    rng: np.random.Generator, hardness: float, mould: Mould
) -> dict[str, tuple[Mark, ...]]:
    """The look-alikes of one part by kind, perhaps none; the harder, the stronger they are."""
    strength = 0.3 + 0.7 * hardness
    drawn = {kind: draw(rng, strength, mould) for kind, draw in LOOKALIKES.items()}
    borne = rng.random(len(drawn)) < PREVALENCE
    return {
        kind: marks for (kind, marks), bears in zip(drawn.items(), borne, strict=True) if bears
    }
