"""Cars, trucks, buses and trains: side profiles, pulled to their width."""

import itertools
from typing import NamedTuple

import numpy as np

from official.data.streets import bodies, sketch
from official.data.streets.sketch import BOTH, IMAGE, Rgb, Sketch

GLASS: Rgb = (0.10, 0.13, 0.16)
RUBBER: Rgb = (0.05, 0.05, 0.055)
DETAIL_DISTANCE = 45.0  # meters: beyond it, details are smaller than a pixel


class Paint(NamedTuple):
    body: Rgb
    glass: Rgb
    accent: Rgb
    lit: bool


_CARS = (
    (bodies.SEDAN, 4.5, 1.47),
    (bodies.HATCHBACK, 3.9, 1.5),
    (bodies.ESTATE, 4.6, 1.68),
    (bodies.VAN, 5.2, 2.2),
)


def car(pencil: Sketch, rng: np.random.Generator, *, lit: bool) -> None:
    """A sedan, hatchback, estate or van of any color."""
    body, length, height = _CARS[rng.choice(4, p=[0.28, 0.34, 0.24, 0.14])]
    size = rng.uniform(0.94, 1.07, 3) * (1.8, height, length)
    paint = Paint(sketch.any_color(rng, greys=0.55), _glass(rng), RUBBER, lit)
    _stand(pencil, body, size=size.tolist(), paint=paint)


def bus(pencil: Sketch, rng: np.random.Generator, *, lit: bool) -> None:
    """A city bus, with a stripe in another color."""
    size = (2.5, rng.uniform(2.9, 3.3), rng.uniform(9.5, 13.0))
    paint = _livery(rng, lit=lit)
    _stand(pencil, bodies.BUS, size=size, paint=paint)
    if pencil.distance < DETAIL_DISTANCE * 1.5:
        stripe = rng.uniform(0.22, 0.36)
        _side_band(pencil, size, y=(stripe, stripe + 0.07), color=paint.accent)


def truck(pencil: Sketch, rng: np.random.Generator, *, lit: bool) -> None:
    """A cab, and a box behind it that is higher than the cab."""
    length, height = rng.uniform(4.5, 8.0), rng.uniform(3.1, 3.9)
    cab_length = rng.uniform(1.9, 2.4)
    cab = Paint(sketch.any_color(rng, greys=0.4), _glass(rng), RUBBER, lit)
    box = Paint(sketch.any_color(rng, greys=0.6), GLASS, RUBBER, lit)
    total = length + cab_length + 0.25
    parts = (
        (bodies.CARGO, (2.5, height, length), -total / 2 + length / 2, box),
        (
            bodies.CAB,
            (2.4, rng.uniform(2.5, 3.0), cab_length),
            total / 2 - cab_length / 2,
            cab,
        ),
    )
    # The part that is nearer to the eye hides the other.
    for body, size, z, paint in sorted(parts, key=lambda p: -abs(pencil.eye[2] - p[2])):
        _wheels(pencil, body, size=size, z=z)
        extrude(pencil, body, size=size, z=z, paint=paint)
    pencil.casts(width=2.5, length=total, bottom=0.0, top=height)


def train(pencil: Sketch, rng: np.random.Generator, *, lit: bool) -> float:
    """Two to four coaches in a row; returns the length in meters."""
    count, length = int(rng.integers(2, 5)), rng.uniform(9.0, 13.0)
    size = (2.5, rng.uniform(3.2, 3.7), length)
    paint = _livery(rng, lit=lit)
    stripe = rng.uniform(0.15, 0.32)
    total = count * (length + 0.5)
    places = [-total / 2 + (k + 0.5) * (length + 0.5) for k in range(count)]
    for z in sorted(places, key=lambda place: -abs(pencil.eye[2] - place)):
        extrude(pencil, bodies.COACH, size=size, z=z, paint=paint)
        _side_band(pencil, size, y=(stripe, stripe + 0.1), color=paint.accent, z=z)
        _side_band(pencil, size, y=(0.0, 0.09), color=RUBBER, z=z)
    pencil.casts(width=2.5, length=total, bottom=0.0, top=size[1])
    return total


def extrude(pencil: Sketch, body: bodies.Body, *, size, z: float, paint: Paint) -> None:
    """Draws the panels of a profile that the eye can see; size is x, y, z meters."""
    _, height, length = size
    corners = [(z + c.z * length, c.y * height) for c in body.profile]
    _, eye_y, eye_z = pencil.eye
    seen = []
    for k, ((z0, y0), (z1, y1)) in enumerate(itertools.pairwise(corners)):
        # The outward normal of the edge in (z, y) is (y0 - y1, z1 - z0).
        if (y0 - y1) * (eye_z - z0) + (z1 - z0) * (eye_y - y0) > 0:
            middle = (eye_z - (z0 + z1) / 2) ** 2 + (eye_y - (y0 + y1) / 2) ** 2
            seen.append((-middle, k))
    for _, k in sorted(seen):
        ends = corners[k], corners[k + 1]
        _panel(
            pencil, body, size=size, ends=ends, kind=body.profile[k].panel, paint=paint
        )
    _side(pencil, body, size=size, corners=corners, z=z, paint=paint)


def _livery(rng: np.random.Generator, *, lit: bool) -> Paint:
    return Paint(
        sketch.any_color(rng, greys=0.35),
        _glass(rng),
        sketch.any_color(rng, greys=0.3),
        lit,
    )


def _glass(rng: np.random.Generator) -> Rgb:
    return sketch.shaded(GLASS, rng.uniform(0.6, 2.6))


def _stand(pencil: Sketch, body: bodies.Body, *, size, paint: Paint) -> None:
    """A whole vehicle of one part: wheels, body, shadow."""
    _wheels(pencil, body, size=size, z=0.0)
    extrude(pencil, body, size=size, z=0.0, paint=paint)
    pencil.casts(width=size[0], length=size[2], bottom=0.0, top=size[1] * 0.9)


def _half_width(body: bodies.Body, size, y: float) -> float:
    """Half the width at a height: narrower above the belt."""
    above = max(0.0, y / size[1] - 0.6) / 0.4
    return size[0] / 2 * (1 - body.taper * above)


def _panel(
    pencil: Sketch, body: bodies.Body, *, size, ends, kind: str, paint: Paint
) -> None:
    """One panel across the vehicle, with what belongs on it."""
    (z0, y0), (z1, y1) = ends
    low, high = _half_width(body, size, y0), _half_width(body, size, y1)
    quad = ((-low, y0, z0), (low, y0, z0), (high, y1, z1), (-high, y1, z1))
    pencil.face(quad, paint.body)
    if kind == "body" or pencil.distance > DETAIL_DISTANCE:
        if kind == "glass":
            pencil.face(quad, paint.glass, layer=IMAGE)
        return
    for u, v, color, glow in _trim(kind, paint):
        pencil.face(sketch.inset(quad, u, v), color, layer=IMAGE, glow=glow)


def _trim(kind: str, paint: Paint):
    """What lies on a panel: rows of u, v, color, glow; v starts as the edge does."""
    lamp = 0.9 if paint.lit else 0.15
    dark = sketch.shaded(paint.body, 0.6)
    red, white = (0.75, 0.06, 0.05), (0.95, 0.94, 0.85)
    rows = {
        "glass": (((0.07, 0.93), (0.08, 0.92), paint.glass, 0.0),),
        "sign": (((0.2, 0.8), (0.15, 0.85), (0.05, 0.05, 0.05), 0.0),),
        "doors": (
            ((0.04, 0.49), (0.06, 0.96), dark, 0.0),
            ((0.51, 0.96), (0.06, 0.96), dark, 0.0),
            ((0.02, 0.12), (0.0, 0.05), red, lamp),
            ((0.88, 0.98), (0.0, 0.05), red, lamp),
        ),
        "tail": (
            ((0.0, 1.0), (0.0, 0.22), RUBBER, 0.0),
            ((0.03, 0.2), (0.55, 0.85), red, lamp),
            ((0.8, 0.97), (0.55, 0.85), red, lamp),
            ((0.36, 0.64), (0.42, 0.58), (0.85, 0.85, 0.8), 0.0),
        ),
        "nose": (  # from the bonnet down to the bumper
            ((0.26, 0.74), (0.2, 0.55), dark, 0.0),
            ((0.03, 0.22), (0.1, 0.4), white, lamp),
            ((0.78, 0.97), (0.1, 0.4), white, lamp),
            ((0.34, 0.66), (0.66, 0.8), (0.85, 0.85, 0.8), 0.0),
        ),
    }
    return rows[kind]


def _side(
    pencil: Sketch, body: bodies.Body, *, size, corners, z: float, paint: Paint
) -> None:
    """The side that faces the eye, if one does."""
    if abs(pencil.eye[0]) <= size[0] / 2:
        return
    sign = 1.0 if pencil.eye[0] > 0 else -1.0

    def on_side(points):
        return [(sign * _half_width(body, size, py), py, pz) for pz, py in points]

    pencil.face(on_side(corners), paint.body)
    if pencil.distance > DETAIL_DISTANCE * 1.5:
        return
    for window in body.windows:
        points = [(z + share * size[2], y * size[1]) for share, y in window]
        pencil.face(on_side(points), paint.glass, layer=IMAGE)
    for axle in body.axles:
        place = (sign * (size[0] / 2 + 0.01), body.wheel, z + axle * size[2])
        pencil.disc(place, body.wheel * 1.12, color=sketch.shaded(paint.body, 0.35))
        pencil.disc(place, body.wheel, color=RUBBER, layer=BOTH)
        pencil.disc(place, body.wheel * 0.58, color=(0.55, 0.56, 0.58))


def _side_band(pencil: Sketch, size, *, y: tuple[float, float], color: Rgb, z=0.0):
    """A stripe along the side that faces the eye; y in shares of the height."""
    if abs(pencil.eye[0]) <= size[0] / 2:
        return
    x = (size[0] / 2 + 0.006) * (1.0 if pencil.eye[0] > 0 else -1.0)
    low, high = y[0] * size[1], y[1] * size[1]
    rear, front = z - size[2] / 2, z + size[2] / 2
    points = ((x, low, rear), (x, high, rear), (x, high, front), (x, low, front))
    pencil.face(points, color, layer=IMAGE)


def _wheels(pencil: Sketch, body: bodies.Body, *, size, z: float) -> None:
    """The tyres that show below the end that faces the eye."""
    if not body.axles:
        return
    axle = min(body.axles) if pencil.eye[2] < 0 else max(body.axles)
    along, top = z + axle * size[2], body.wheel * 1.2
    for x in (-size[0] / 2, size[0] / 2 - 0.24):
        tyre = (
            (x, 0, along),
            (x + 0.24, 0, along),
            (x + 0.24, top, along),
            (x, top, along),
        )
        pencil.face(tyre, RUBBER)
