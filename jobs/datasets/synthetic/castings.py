"""Castings drawn on the spot, so that everything runs with nothing downloaded.

A part is a pump impeller seen from above: a machined flange, a groove, a neck, a dark cavity with
curved vanes, and a hub round its bore. A photograph shows one part turned, shifted, tilted, lit
and exposed in its own way. Whether a part is defective is drawn independently of everything else,
so neither brightness nor framing tells the classes apart.

Randomness is a tree per pool: `SeedSequence(seed)` draws the lots that make parts defective, its
child `(part, 0)` the part, `(part, 1)` its defect, `(part, 2 + shot)` one photograph. So a part
looks the same however many others are drawn. Its verdict may change with number and share of
defective parts, but as seldom as can be: those of the lowest lots are defective. Equal specs give
equal castings on every machine as far as numpy does: the last bit of a sine or an exponential may
differ, and a rare pixel with it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.synthetic import marks
from jobs.datasets.synthetic.marks import (
    BEARINGS,
    TURN,
    Defect,
    Field,
    Mark,
    Plane,
    log_uniform,
    wave,
)
from jobs.datasets.synthetic.spec import SyntheticSpec

_TILE = 128  # texels per side of the cast grain, which repeats
_GRAIN = 56  # texels per radius: about one per pixel at the default size
_ROWS = 160  # lathe marks between the axis and twice the rim


class SyntheticCasting(NamedTuple):
    """One photograph of one part, with its truth."""

    image: NDArray[np.uint8]  # [size, size], grey
    mask: NDArray[np.bool_]  # [size, size], true where the defect is; all false when ok
    label: str  # "ok" or "def"
    part: str  # "part-0007"; the first is 0
    name: str  # "part-0007-shot-2"; the first is 0
    kind: str  # a key of `jobs.datasets.synthetic.marks.KINDS`, empty when ok


def draw_castings(spec: SyntheticSpec) -> Iterator[SyntheticCasting]:
    """All photographs of the pool, part by part; nothing is kept, a large pool costs no memory."""
    for index, defective in enumerate(_verdicts(spec)):
        rng, name = _stream(spec.seed, index, 0), f"part-{index:04d}"
        part = draw_part(rng)
        kind, defect = marks.draw_defect(_stream(spec.seed, index, 1), part.groove)
        shown, kind, label = (
            (damaged(part, defect), kind, "def") if defective else (part, "", "ok")
        )
        for shot in range(rng.integers(1, spec.shots, endpoint=True)):
            image, plane = photograph(shown, _stream(spec.seed, index, 2 + shot), spec.size)
            mask = defect.mask(plane) if defective else np.zeros(image.shape, np.bool_)
            yield SyntheticCasting(image, mask, label, name, f"{name}-shot-{shot}", kind)


def _stream(seed: int, *branch: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=branch)))


def _verdicts(spec: SyntheticSpec) -> NDArray[np.bool_]:
    """Which parts are defective, [parts]: those of the lowest lots."""
    lots = _stream(spec.seed).random(spec.parts)
    ranks = np.argsort(np.argsort(lots, kind="stable"), kind="stable")
    return ranks < round(spec.parts * spec.defect_share)


@dataclass(frozen=True)
class Part:
    """One impeller. Lengths are in radii of its nominal rim, tones in shares of white."""

    bore: float  # radii of the rings' edges, from the axis outwards
    hub: float
    cavity: float
    neck: float
    groove: float
    finish: float  # tone of the machined faces
    depth: float  # tone of the cavity's floor
    vanes: Field  # light the vanes catch, round the hub, [TURN]
    twist: float  # steps of a turn that a vane sweeps in one radius
    rim: Field  # what the rim adds to its nominal radius, [TURN]
    lathe: Field  # brightness of the concentric tool marks, [_ROWS]
    grain: Field  # brightness of the cast skin, [_TILE, _TILE]
    marks: tuple[Mark, ...]


def draw_part(rng: np.random.Generator) -> Part:
    """One sound part, with its harmless blemishes."""
    hub, cavity = rng.uniform(0.27, 0.31), rng.uniform(0.51, 0.56)
    neck = cavity + rng.uniform(0.06, 0.08)
    groove = neck + rng.uniform(0.015, 0.03)
    blades = int(rng.integers(5, 10))
    ridge = np.cos(blades * BEARINGS) + 0.5 * np.cos(2 * blades * BEARINGS + rng.uniform(0, 2))
    grain = rng.standard_normal((_TILE, _TILE), np.float32)
    grain = grain + np.roll(grain, 1, axis=0) + np.roll(grain, 1, axis=1)
    return Part(
        bore=hub - rng.uniform(0.06, 0.08),
        hub=hub,
        cavity=cavity,
        neck=neck,
        groove=groove,
        finish=rng.uniform(0.60, 0.69),
        depth=rng.uniform(0.06, 0.13),
        vanes=np.clip(ridge - 0.3, 0, None) * rng.uniform(0.06, 0.16),
        twist=float(rng.choice([-TURN, TURN])) * rng.uniform(0.25, 0.8),
        rim=wave(rng, 2, 7) * 0.0015 + wave(rng, 30, 60) * 0.001,
        lathe=rng.standard_normal(_ROWS, np.float32) * log_uniform(rng, 0.006, 0.022),
        grain=grain * log_uniform(rng, 0.005, 0.016),
        marks=marks.draw_blemishes(rng, groove),
    )


def damaged(part: Part, defect: Defect) -> Part:
    """The same part with the defect on it."""
    return replace(part, marks=(*part.marks, defect.mark), rim=part.rim + defect.rim)


def photograph(part: Part, rng: np.random.Generator, size: int) -> tuple[NDArray[np.uint8], Plane]:
    """One photograph of a part.

    The draws are the same whatever the part, so that one state of the generator shows a part
    before and after damage under one light. Returns the image, [size, size] grey, and where each
    of its pixels lies on the part.
    """
    plane, light = marks.aim(rng, size), _shine(rng)
    tint, height = marks.relief(part.marks, plane)
    even = _hollow(_rings(part, plane, light), part, plane, light)
    metal = even * tint * _shading(part, height, plane, light) + _glints(part, plane, light)
    backdrop = _backdrop(plane, light)
    cover = _covered(1 + part.rim[plane.turn] - plane.radius, plane)
    return _expose(backdrop + (metal - backdrop) * cover, rng), plane


def _covered(inside: Field, plane: Plane) -> Field:
    """The share of each pixel that lies within an outline, given the distance to it."""
    share: Field = np.clip(inside / plane.pixel + 0.5, 0, 1)
    return share


class Light(NamedTuple):
    """The lamps of one photograph, as seen from the part."""

    bearing: float  # radians, where the light comes from
    facing: Field  # 1 where a bearing looks towards the light, -1 where away, [TURN]
    sheen: Field  # what the brushed metal reflects more or less, [TURN]
    glints: Field  # how much a polished edge flashes, [TURN]
    slant: float  # how much a slope towards the light brightens
    cast: float  # length of the shadows of low walls
    backdrop: float  # tone of the table
    falloff: tuple[float, float]  # its change per radius, along x and y
    shadow: float  # share of the table's light that the part takes away
    spread: float  # width of that shadow


def _shine(rng: np.random.Generator) -> Light:
    bearing, window = rng.uniform(0, 2 * np.pi, 2).tolist()
    # Concentric tool marks mirror a lamp as two opposite sectors, a window as one of sharp edges.
    sheen = rng.uniform(0.03, 0.15) * np.cos(2 * (BEARINGS - bearing) + rng.normal(0, 0.4))
    edge = np.cos(BEARINGS - window) - rng.uniform(0.2, 0.9)
    flashes = BEARINGS - (bearing + rng.normal(0, 1.2, (3, 1)))
    glints = np.exp(rng.uniform(8, 80, (3, 1)) * (np.cos(flashes) - 1))
    return Light(
        bearing=bearing,
        facing=np.cos(BEARINGS - bearing),
        sheen=sheen + rng.uniform(0, 0.07) * np.tanh(6 * edge),
        glints=(glints * rng.uniform(0, 0.25, (3, 1))).sum(axis=0).astype(np.float32),
        slant=rng.uniform(0.45, 0.9),
        cast=rng.uniform(0, 0.025),
        backdrop=rng.uniform(0.56, 0.70),
        falloff=(rng.normal(0, 0.03), rng.normal(0, 0.03)),
        shadow=rng.uniform(0.35, 0.6),
        spread=rng.uniform(0.06, 0.10),
    )


def _turned(plane: Plane, edges: list[float], around: list[float], values: Field) -> Field:
    """A profile turned on a lathe: linear between its values, given at radii around each edge."""
    # At small sizes the ramps of neighbouring edges may meet, never cross.
    knots = np.maximum.accumulate(np.add.outer(edges, around).ravel())
    return np.interp(plane.radius, knots, values.ravel()).astype(np.float32)


def _rings(part: Part, plane: Plane, light: Light) -> Field:
    """The machined rings and the cavity's floor under even light, [size, size]."""
    finish = part.finish
    tones = np.array([1.1 * finish, part.depth, 1.12 * finish, finish], np.float32)
    ramp = [-plane.pixel / 2, plane.pixel / 2]  # an edge's antialiasing
    tone = _turned(plane, [part.hub, part.cavity, part.neck], ramp, tones.repeat(2)[1:-1])
    row = np.minimum((plane.radius * (_ROWS / 2)).astype(np.intp), _ROWS - 1)
    column, line = ((axis * _GRAIN).astype(np.intp) % _TILE for axis in (plane.x + 4, plane.y + 4))
    tone *= 1 + light.sheen[plane.turn] + part.lathe[row] + part.grain[line, column]
    # The neck stands proud: away from the light, its shadow widens the groove.
    shaded = part.groove + light.cast * np.maximum(-light.facing, 0)
    groove = np.minimum(plane.radius - part.neck, shaded[plane.turn] - plane.radius)
    tone *= 1 - 0.85 * _covered(groove, plane)
    return tone


def _hollow(tone: Field, part: Part, plane: Plane, light: Light) -> Field:
    """The same with the vanes that rise in the cavity, and the table seen through the bore."""
    swept = (plane.turn + (plane.radius * part.twist).astype(np.intp)) % TURN
    within = np.minimum(plane.radius - part.hub, part.cavity - plane.radius)
    lit = part.vanes[swept] * (1 + 0.6 * light.facing)[plane.turn] * np.clip(20 * within, 0, 1)
    floor = light.backdrop * (0.7 - 0.35 * light.facing[plane.turn] * plane.radius / part.bore)
    through = _covered(part.bore - plane.radius, plane)
    seen: Field = (tone + lit) * (1 - through) + floor * through
    return seen


def _shading(part: Part, height: Field, plane: Plane, light: Light) -> Field:
    """The factor on light of every slope: bevelled rings, and the walls of marks."""
    edges = [part.bore, part.hub, part.cavity, part.neck, part.groove, 1.0]
    bevels = np.outer(np.array([0.3, -0.4, 0.2, -0.5, 0.5, -0.6], np.float32), [0, 1, 0])
    slope = _turned(plane, edges, [-0.022, 0, 0.022], bevels) * light.facing[plane.turn]
    down, right = np.gradient(height, plane.pixel)
    seen = light.bearing + plane.rotation  # `height` lies in the frame of the photograph
    slope += right * math.cos(seen) + down * math.sin(seen)
    factor: Field = np.clip(1 - light.slant * slope, 0.2, 1.8)
    return factor


def _glints(part: Part, plane: Plane, light: Light) -> Field:
    """Specular light where polished edges face a lamp, [size, size]."""
    away = [np.abs(plane.radius - edge) for edge in (part.hub, part.neck, 0.985)]
    flash: Field = np.clip(1 - 60 * np.minimum.reduce(away), 0, None)
    return flash * light.glints[plane.turn]


def _backdrop(plane: Plane, light: Light) -> Field:
    """The table: a gentle gradient, and the shadow that the part throws away from the light."""
    east = plane.x + 0.5 * light.spread * math.cos(light.bearing)
    south = plane.y + 0.5 * light.spread * math.sin(light.bearing)
    gap = np.maximum(np.sqrt(east * east + south * south) - 1, 0)
    lit = light.backdrop + light.falloff[0] * plane.x + light.falloff[1] * plane.y
    tone: Field = lit * (1 - light.shadow * np.exp(gap * (-1 / light.spread)))
    return tone


def _expose(scene: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Lens and sensor: blur, exposure, contrast, noise, and 8 bits."""
    gain, gamma = rng.uniform(0.92, 1.12), rng.uniform(0.9, 1.1)
    softness, noise = rng.uniform(0.55, 1.0) * len(scene) / 160, log_uniform(rng, 0.003, 0.01)
    exposed = np.clip(gain * _blurred(scene, softness), 1e-3, 1) ** gamma
    exposed += noise * rng.standard_normal(scene.shape, np.float32)
    image: NDArray[np.uint8] = np.clip(exposed * 255 + 0.5, 0, 255).astype(np.uint8)
    return image


def _blurred(scene: Field, sigma: float) -> Field:
    """A Gaussian blur of `sigma` pixels, edges repeated."""
    # scipy.ndimage adds up in float64: a pixel in 100,000 would get another grey level
    reach = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / sigma))
    for _ in range(2):  # rows, then, turned over, columns
        padded = np.pad(scene, ((reach, reach), (0, 0)), mode="edge")
        shifts = (float(w) * padded[i : i + len(scene)] for i, w in enumerate(weights))
        scene = (sum(shifts, start=np.zeros_like(scene)) / float(weights.sum())).T
    return scene
