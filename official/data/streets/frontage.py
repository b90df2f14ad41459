"""What lines a street: buildings, walls and fences.

They run from the origin along local z for `length` meters; `side` is 1 where the street
lies to their left (they reach to local +x) and -1 where it lies to their right.
"""

from typing import NamedTuple

import numpy as np

from official.data.streets import roadside, sketch
from official.data.streets.sketch import IMAGE, LABELS, Rgb, Sketch
from official.data.streets.weather import Weather

PLASTER: tuple[Rgb, ...] = (
    (0.86, 0.82, 0.72),
    (0.72, 0.72, 0.7),
    (0.56, 0.3, 0.24),
    (0.8, 0.66, 0.42),
    (0.62, 0.7, 0.74),
    (0.44, 0.42, 0.4),
    (0.78, 0.56, 0.46),
    (0.6, 0.66, 0.52),
    (0.93, 0.92, 0.9),
    (0.3, 0.35, 0.4),
)
ROOFS: tuple[Rgb, ...] = ((0.45, 0.22, 0.16), (0.25, 0.25, 0.27), (0.4, 0.33, 0.28))
STONES: tuple[Rgb, ...] = (
    (0.62, 0.6, 0.57),
    (0.5, 0.3, 0.24),
    (0.75, 0.72, 0.66),
    (0.4, 0.42, 0.4),
)
_DETAIL = 65.0  # meters: windows farther away are smaller than a pixel


def building(
    pencil: Sketch,
    rng: np.random.Generator,
    *,
    length: float,
    side: int,
    floors: int,
    weather: Weather,
) -> None:
    """A house with rows of windows, a flat or a pitched roof, perhaps a shop below."""
    storey = rng.uniform(2.8, 3.6)
    height, deep = floors * storey + rng.uniform(0.4, 1.2), rng.uniform(8, 14)
    wall = sketch.shaded(sketch.mixed(PLASTER, rng), rng.uniform(0.7, 1.1))
    _roof(pencil, rng, size=(side * deep, height, length), floors=floors, wall=wall)
    front = ((0, 0, 0), (0, 0, length), (0, height, length), (0, height, 0))
    gable = ((side * deep, 0, 0), (0, 0, 0), (0, height, 0), (side * deep, height, 0))
    style = _facade_style(rng)
    for quad, seen in ((gable, pencil.eye[2] < 0), (front, pencil.eye[0] * side < 0)):
        if seen:
            pencil.face(quad, wall)
            if pencil.distance < _DETAIL:
                _facade(
                    pencil, rng, quad=quad, storey=storey, style=style, weather=weather
                )
    pencil.casts(width=1.0, length=length, bottom=0, top=height, z=length / 2)
    if pencil.distance < _DETAIL and pencil.eye[0] * side < 0:
        _ground_floor(pencil, rng, length=length, side=side, wall=wall, storey=storey)


def _roof(pencil: Sketch, rng, *, size, floors: int, wall: Rgb) -> None:
    x, y, z = size
    if floors > 6 or rng.random() < 0.4:
        return
    tiles, rise = sketch.mixed(ROOFS, rng), rng.uniform(1.5, 4.0)
    if pencil.eye[2] < 0:
        pencil.face(((x, y, 0), (0, y, 0), (x / 2, y + rise, 0)), wall)
    over = -0.3 if x > 0 else 0.3
    slope = (
        (over, y - 0.1, 0),
        (over, y - 0.1, z),
        (x / 2, y + rise, z),
        (x / 2, y + rise, 0),
    )
    pencil.face(slope, tiles)
    if rng.random() < 0.5:
        low, high, at = y + rise * 0.5, y + rise + 1.0, z * rng.uniform(0.2, 0.8)
        stack = (x / 2, low, at), (x / 2, high, at)
        pencil.tube(*stack, radius=0.4, color=sketch.shaded(ROOFS[0], 0.8))


class _Style(NamedTuple):
    """Windows: meters from one to the next, shares of that and of a storey."""

    pitch: float
    wide: float
    high: float
    frame: Rgb | None


def _facade_style(rng: np.random.Generator) -> _Style:
    if rng.random() < 0.18:  # ribbons of glass
        return _Style(rng.uniform(1.4, 2.2), 0.92, rng.uniform(0.5, 0.75), None)
    frame = (0.92, 0.91, 0.88) if rng.random() < 0.6 else (0.3, 0.24, 0.2)
    wide, high = rng.uniform(0.35, 0.6), rng.uniform(0.45, 0.62)
    return _Style(rng.uniform(1.9, 3.4), wide, high, frame)


def _facade(pencil: Sketch, rng, *, quad, storey, style, weather: Weather) -> None:
    """Windows over a wall, given as a quad whose first edge lies on the ground."""
    pitch, wide, high, frame = style
    corners = np.array(quad, float)
    origin, along, up = corners[0], corners[1] - corners[0], corners[3] - corners[0]
    length, height = np.linalg.norm(along), np.linalg.norm(up)
    bays, floors = int(length / pitch), int(height / storey)
    if bays < 1 or floors < 2:
        return
    column, row = np.meshgrid(np.arange(bays), np.arange(1, floors), indexing="ij")
    u = ((column + 0.5) / bays).reshape(-1)
    v = ((row + 0.5) * storey / height).reshape(-1)

    def panes(margin: float) -> np.ndarray:
        du = (wide / 2 + margin) / bays
        dv = (high / 2 + margin * 0.6) * storey / height
        us = u[:, None] + du * np.array([-1, 1, 1, -1])
        vs = v[:, None] + dv * np.array([-1, -1, 1, 1])
        return origin + us[..., None] * along + vs[..., None] * up

    if frame is not None and pencil.distance < 28:
        pencil.faces(panes(0.06), np.tile(frame, (len(u), 1)), layer=IMAGE)
    glass, glow = _panes(rng, count=len(u), weather=weather)
    pencil.faces(panes(0.0), glass, layer=IMAGE, glow=glow)


def _panes(rng, *, count: int, weather: Weather) -> tuple[np.ndarray, np.ndarray]:
    """Colors of windows [count, 3]: dark, with the sky in them, curtained, or lit."""
    sky = np.asarray(weather.zenith)
    mirrored = rng.uniform(0.0, 0.45) * rng.random((count, 1))
    colors = (1 - mirrored) * np.array([0.13, 0.15, 0.18]) + mirrored * sky
    curtained = rng.random(count) < 0.15
    colors[curtained] = rng.uniform(0.4, 0.75)
    lit = rng.random(count) < weather.lamps
    colors[lit] = (0.98, 0.82, 0.5)
    return colors, np.where(lit, 0.9, 0.0)


def _ground_floor(pencil: Sketch, rng, *, length, side: int, wall: Rgb, storey) -> None:
    """Doors, or shop windows under a band in the shop's color."""
    x = -0.02 * side
    shop = rng.random() < 0.4
    base = sketch.shaded(wall, rng.uniform(0.6, 1.0))
    top = storey * 0.95
    pencil.face(_plate(x, 0, length, low=0, high=top * 0.3), base, layer=IMAGE)
    count = max(1, int(length / (4.0 if shop else 3.0)))
    step = length / count
    for k in range(count):
        start = k * step
        if shop:
            glass = sketch.shaded((0.2, 0.22, 0.24), rng.uniform(0.5, 2.2))
            pane = _plate(
                x, start + 0.1 * step, start + 0.9 * step, low=0.4, high=top * 0.74
            )
            pencil.face(pane, glass, layer=IMAGE)
        else:
            tall = rng.random() < 0.35
            near, far = start + 0.3 * step, start + 0.7 * step
            pane = _plate(x, near, far, low=0.0 if tall else 0.9, high=2.2)
            pencil.face(
                pane, sketch.any_color(rng, greys=0.7) if tall else _DARK, layer=IMAGE
            )
    if shop:
        band = _plate(x, 0.0, length, low=top * 0.8, high=top)
        pencil.face(band, sketch.any_color(rng, greys=0.3), layer=IMAGE)


_DARK: Rgb = (0.15, 0.17, 0.2)


def _plate(x: float, near: float, far: float, *, low: float, high: float):
    return ((x, low, near), (x, low, far), (x, high, far), (x, high, near))


def wall(pencil: Sketch, rng: np.random.Generator, *, length: float, side: int) -> None:
    """A wall of plaster, stone or concrete, 1.2 to 3.5 m high, with a coping."""
    height = rng.uniform(1.2, 3.5)
    stone = sketch.shaded(sketch.mixed(STONES, rng), rng.uniform(0.75, 1.15))
    if pencil.eye[2] < 0:
        end = ((side * 0.4, 0, 0), (0, 0, 0), (0, height, 0), (side * 0.4, height, 0))
        pencil.face(end, stone)
    pencil.face(_plate(0, 0, length, low=0, high=height), stone)
    pencil.casts(width=0.4, length=length, bottom=0, top=height, z=length / 2)
    if pencil.distance > _DETAIL:
        return
    joint = sketch.shaded(stone, 0.78)
    out = -0.02 * side
    for y in np.arange(rng.uniform(0.2, 0.5), height, rng.uniform(0.3, 0.7)).tolist():
        pencil.face(_plate(out, 0, length, low=y, high=y + 0.035), joint, layer=IMAGE)
    for z in np.arange(0.0, length, rng.uniform(2.0, 4.0)).tolist():
        pencil.face(_plate(out, z, z + 0.06, low=0, high=height), joint, layer=IMAGE)
    coping = _plate(out * 2, 0, length, low=height - 0.12, high=height)
    pencil.face(coping, sketch.shaded(stone, rng.uniform(0.6, 1.3)), layer=IMAGE)
    if rng.random() < 0.25:
        _graffiti(pencil, rng, x=out * 1.5, length=length, height=height)


def _graffiti(pencil: Sketch, rng, *, x: float, length: float, height: float) -> None:
    for _ in range(6):
        z, y = rng.uniform(0, length * 0.8), rng.uniform(0.2, height * 0.6)
        w, h = rng.uniform(0.3, 1.2), rng.uniform(0.2, height * 0.3)
        mark = (
            (x, y, z),
            (x, y + h * 0.3, z + w),
            (x, y + h, z + w * 0.8),
            (x, y + h * 0.8, z),
        )
        pencil.face(mark, sketch.any_color(rng, greys=0.1), layer=IMAGE)


def fence(pencil: Sketch, rng: np.random.Generator, *, length: float) -> None:
    """Pickets, railings or a guard rail; one sees through, but the label is closed."""
    kind = ("pickets", "railing", "guard rail")[rng.choice(3, p=[0.4, 0.4, 0.2])]
    height = 0.8 if kind == "guard rail" else rng.uniform(0.9, 2.1)
    color = (
        sketch.mixed(roadside.METALS, rng)
        if kind != "pickets"
        else sketch.mixed(
            ((0.45, 0.3, 0.18), (0.88, 0.87, 0.84), (0.3, 0.24, 0.18)), rng
        )
    )
    low = 0.35 if kind == "guard rail" else 0.0
    pencil.face(_plate(0, 0, length, low=low, high=height), color, layer=LABELS)
    gap, wide = {
        "pickets": (0.3, 0.17),
        "railing": (0.26, 0.045),
        "guard rail": (2.5, 0.14),
    }[kind]
    # Slats closer together than a pixel are drawn as fewer, wider ones.
    merge = max(1.0, pencil.distance / 16)
    starts = np.arange(0.0, length, gap * merge)
    slats = np.zeros((len(starts), 4, 3))
    slats[:, :, 2] = starts[:, None] + wide * merge * np.array([0, 1, 1, 0])
    slats[:, 2:, 1] = height
    tints = np.asarray(color) * rng.uniform(0.85, 1.1, (len(starts), 1))
    pencil.faces(slats, np.clip(tints, 0, 1), layer=IMAGE)
    rails = (0.42, 0.62) if kind == "guard rail" else (0.12, height - 0.15)
    thick = 0.12 if kind == "guard rail" else 0.06
    for y in rails:
        rail = _plate(0, 0, length, low=y, high=y + thick)
        pencil.face(rail, sketch.shaded(color, 0.9), layer=IMAGE)
