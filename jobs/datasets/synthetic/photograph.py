"""One photograph of a part: the camera over it, the light on it, lens and sensor."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.synthetic.marks import LIP, WALL, relief
from jobs.datasets.synthetic.part import LATHE_ROWS, TILE, Part
from jobs.datasets.synthetic.plane import (
    BEARINGS,
    TURN,
    Field,
    Plane,
    aim,
    covered,
    log_uniform,
    turn_of,
)

_GRAIN = 56  # texels per radius: about one per pixel at the default size


def photograph(part: Part, rng: np.random.Generator, size: int) -> tuple[NDArray[np.uint8], Plane]:
    """One photograph of a part.

    The draws are the same whatever the part, so that one state of the generator shows a part
    before and after damage under one light. Returns the image, [size, size] grey, and where each
    of its pixels lies on the part.
    """
    plane, light = aim(rng, size), _shine(rng)
    opening = part.mould.opening(plane)
    tint, height = relief(part.marks, plane)
    height += -0.4 * np.clip(opening, -LIP, WALL)  # the edges of holes are broken
    face = (_rings(part, plane, light) + _vanes(part, plane, light)) * tint
    metal = face * _shading(part, height, plane, light) + _glints(part, plane, light)
    metal += (_floor(plane, light) - metal) * covered(opening, plane)
    backdrop = _backdrop(part, plane, light)
    cover = covered((part.mould.outline + part.rim)[plane.turn] - plane.radius, plane)
    scene = backdrop + (metal - backdrop) * cover
    scene *= 1 + light.gradient[0] * plane.x + light.gradient[1] * plane.y
    return _expose(scene, rng), plane


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
    gradient: tuple[float, float]  # share by which all grows lighter per radius, along x and y
    shadow: float  # share of the table's light that the part takes away
    spread: float  # width of that shadow


def _shine(rng: np.random.Generator) -> Light:
    bearing, window = rng.uniform(0, 2 * np.pi, 2).tolist()
    # Concentric tool marks mirror a lamp as two opposite sectors, a window as one of sharp edges.
    sheen = rng.uniform(0.03, 0.15) * np.cos(2 * (BEARINGS - bearing) + rng.normal(0, 0.4))
    edge = np.cos(BEARINGS - window) - rng.uniform(0.2, 0.9)
    flashes = BEARINGS - (bearing + rng.normal(0, 1.2, (3, 1)))
    glints = np.exp(rng.uniform(8, 80, (3, 1)) * (np.cos(flashes) - 1))
    nearer = rng.uniform(0, 0.15)
    return Light(
        bearing=bearing,
        facing=np.cos(BEARINGS - bearing),
        sheen=sheen + rng.uniform(0, 0.07) * np.tanh(6 * edge),
        glints=(glints * rng.uniform(0, 0.25, (3, 1))).sum(axis=0).astype(np.float32),
        slant=rng.uniform(0.45, 0.9),
        cast=rng.uniform(0, 0.025),
        backdrop=rng.uniform(0.50, 0.72),
        falloff=(rng.normal(0, 0.03), rng.normal(0, 0.03)),
        gradient=(nearer * math.cos(bearing), nearer * math.sin(bearing)),
        shadow=rng.uniform(0.35, 0.6),
        spread=rng.uniform(0.06, 0.10),
    )


def _turned(away: Field, edges: list[float], around: list[float], values: Field) -> Field:
    """A profile turned on a lathe: linear between its values, given at radii around each edge."""
    # At small sizes the ramps of neighbouring edges may meet, never cross.
    knots = np.maximum.accumulate(np.add.outer(edges, around).ravel())
    return np.interp(away, knots, values.ravel()).astype(np.float32)


def _rings(part: Part, plane: Plane, light: Light) -> Field:
    """The rings round the axis under even light, [size, size]."""
    mould = part.mould
    tones = part.finish * np.array([1.1, mould.floor, 1.12, 1.0], np.float32)
    ramp = [-plane.pixel / 2, plane.pixel / 2]  # an edge's antialiasing
    edges = [mould.hub, mould.cavity, mould.neck]
    tone = _turned(plane.radius, edges, ramp, tones.repeat(2)[1:-1])
    row = np.minimum((plane.radius * (LATHE_ROWS / 2)).astype(np.intp), LATHE_ROWS - 1)
    column, line = ((axis * _GRAIN).astype(np.intp) % TILE for axis in (plane.x + 4, plane.y + 4))
    sheen = light.sheen[plane.turn] * mould.turned
    tone *= 1 + sheen + part.lathe[row] + part.grain[line, column]
    # The neck stands proud: away from the light, its shadow widens the groove.
    shaded = mould.groove + light.cast * np.maximum(-light.facing, 0)
    groove = np.minimum(plane.radius - mould.neck, shaded[plane.turn] - plane.radius)
    tone *= 1 - 0.85 * covered(groove, plane)
    return tone


def _vanes(part: Part, plane: Plane, light: Light) -> Field:
    """The light that vanes between hub and cavity catch, [size, size]."""
    mould = part.mould
    swept = (plane.turn + (plane.radius * mould.twist).astype(np.intp)) % TURN
    within = np.minimum(plane.radius - mould.hub, mould.cavity - plane.radius)
    towards = (1 + 0.6 * light.facing)[plane.turn]
    lit: Field = mould.vanes[swept] * towards * np.clip(20 * within, 0, 1)
    return lit


def _floor(plane: Plane, light: Light) -> Field:
    """The table as one sees it through the part, in its shadow, [size, size]."""
    lit = light.facing[plane.turn] * np.minimum(plane.radius, 0.3)
    tone: Field = light.backdrop * (0.55 - 0.5 * lit)
    return tone


def _shading(part: Part, height: Field, plane: Plane, light: Light) -> Field:
    """The factor on light of every slope: bevelled rings, and the walls of marks."""
    mould, around = part.mould, [-0.022, 0, 0.022]
    edges = [mould.hub, mould.cavity, mould.neck, mould.groove]
    bevels = np.outer(np.array([-0.4, 0.2, -0.5, 0.5], np.float32), [0, 1, 0])
    slope = _turned(plane.radius, edges, around, bevels)
    outer = plane.radius - mould.outline[plane.turn]
    slope += _turned(outer, [0.0], around, np.array([0, -0.6, 0], np.float32))
    slope *= light.facing[plane.turn]
    down, right = np.gradient(height, plane.pixel)
    seen = light.bearing + plane.rotation  # `height` lies in the frame of the photograph
    slope += right * math.cos(seen) + down * math.sin(seen)
    factor: Field = np.clip(1 - light.slant * slope, 0.2, 1.8)
    return factor


def _glints(part: Part, plane: Plane, light: Light) -> Field:
    """Specular light where polished edges face a lamp, [size, size]."""
    mould = part.mould
    rings = [np.abs(plane.radius - edge) for edge in (mould.hub, mould.neck)]
    rim = np.abs(plane.radius + 0.015 - mould.outline[plane.turn])
    flash: Field = np.clip(1 - 60 * np.minimum.reduce([*rings, rim]), 0, None)
    return flash * light.glints[plane.turn]


def _backdrop(part: Part, plane: Plane, light: Light) -> Field:
    """The table: a gentle gradient, and the shadow that the part throws away from the light."""
    east = plane.x + 0.5 * light.spread * math.cos(light.bearing)
    south = plane.y + 0.5 * light.spread * math.sin(light.bearing)
    rim = part.mould.outline[turn_of(east, south)]
    gap = np.maximum(np.sqrt(east * east + south * south) - rim, 0)
    lit = light.backdrop + light.falloff[0] * plane.x + light.falloff[1] * plane.y
    tone: Field = lit * (1 - light.shadow * np.exp(gap * (-1 / light.spread)))
    return tone


def _expose(scene: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Lens and sensor: blur, exposure, contrast, noise, and 8 bits."""
    gain, gamma = log_uniform(rng, 0.82, 1.15), rng.uniform(0.85, 1.15)
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
