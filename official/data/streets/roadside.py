"""What stands beside the lanes: lamps, lights, signs and their poles; trees, hedges."""

import numpy as np

from official.data.streets import sketch
from official.data.streets.sketch import IMAGE, Rgb, Sketch
from official.data.streets.weather import Weather

BARK: tuple[Rgb, ...] = ((0.3, 0.24, 0.19), (0.42, 0.38, 0.33), (0.2, 0.16, 0.13))
LEAVES: tuple[Rgb, ...] = (
    (0.16, 0.32, 0.1),
    (0.28, 0.44, 0.14),
    (0.12, 0.27, 0.15),
    (0.2, 0.38, 0.12),
    (0.34, 0.46, 0.2),
    (0.5, 0.46, 0.16),
    (0.56, 0.34, 0.12),
    (0.42, 0.2, 0.12),
)
METALS: tuple[Rgb, ...] = ((0.5, 0.5, 0.5), (0.22, 0.25, 0.24), (0.68, 0.68, 0.66))
GRASS: tuple[Rgb, ...] = (
    (0.27, 0.36, 0.14),
    (0.38, 0.42, 0.18),
    (0.48, 0.42, 0.28),
    (0.36, 0.29, 0.2),
)
_SIGNS: tuple[tuple[str, Rgb, Rgb], ...] = (  # shape, rim, inside
    ("disc", (0.8, 0.08, 0.1), (0.92, 0.92, 0.9)),
    ("disc", (0.1, 0.25, 0.6), (0.12, 0.32, 0.72)),
    ("disc", (0.8, 0.08, 0.1), (0.14, 0.3, 0.68)),
    ("triangle", (0.8, 0.08, 0.1), (0.92, 0.92, 0.9)),
    ("square", (0.9, 0.9, 0.9), (0.12, 0.3, 0.66)),
    ("diamond", (0.92, 0.92, 0.9), (0.93, 0.74, 0.1)),
    ("board", (0.92, 0.92, 0.9), (0.1, 0.38, 0.24)),
    ("board", (0.15, 0.15, 0.15), (0.92, 0.8, 0.2)),
    ("octagon", (0.9, 0.9, 0.9), (0.75, 0.08, 0.1)),
)
_OUTLINES: dict[str, tuple[tuple[float, float], ...]] = {
    "triangle": ((-1, -0.75), (1, -0.75), (0, 1)),
    "square": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "diamond": ((0, -1.1), (1.1, 0), (0, 1.1), (-1.1, 0)),
    "board": ((-2.2, -0.7), (2.2, -0.7), (2.2, 0.7), (-2.2, 0.7)),
    "octagon": tuple(
        (float(np.cos(a)), float(np.sin(a)))
        for a in np.pi / 8 + np.arange(8) * np.pi / 4
    ),
    "disc": tuple(
        (float(np.cos(a)), float(np.sin(a))) for a in np.arange(12) * np.pi / 6
    ),
}


def lamp_post(pencil: Sketch, rng: np.random.Generator, *, weather: Weather) -> None:
    """A street lamp, 5 to 9 m high, with an arm along local x."""
    metal, height = sketch.mixed(METALS, rng), rng.uniform(5, 9)
    pencil.tube((0, 0, 0), (0, height, 0), radius=(0.11, 0.06), color=metal)
    pencil.tube((0, 0, 0), (0, 0.9, 0), radius=0.14, color=metal)
    reach = rng.uniform(0.6, 2.0)
    pencil.tube((0, height, 0), (reach, height + 0.25, 0), radius=0.05, color=metal)
    head = ((reach - 0.1, height + 0.2, 0), (reach + 0.6, height + 0.28, 0))
    pencil.tube(*head, radius=0.1, color=sketch.shaded(metal, 0.8))
    if rng.random() < weather.lamps * 2:
        lamp = (reach + 0.25, height + 0.16, 0.0)
        pencil.ball(lamp, 0.13, color=(1.0, 0.85, 0.55), glow=1.0)
    pencil.casts(width=0.2, length=0.2, bottom=0, top=height)


def post(pencil: Sketch, rng: np.random.Generator, *, height: float) -> None:
    """A plain pole, such as one that carries a sign."""
    radius = 0.045 if height < 4 else 0.09
    color = sketch.mixed(METALS, rng)
    pencil.tube((0, 0, 0), (0, height, 0), radius=radius, color=color)
    pencil.casts(width=0.12, length=0.12, bottom=0, top=height)


def arm(pencil: Sketch, *, height: float, reach: float) -> None:
    """A pole with a long arm along local x, for lights above the lanes."""
    color = METALS[0]
    pencil.tube((0, 0, 0), (0, height + 0.4, 0), radius=(0.13, 0.09), color=color)
    pencil.tube((0, height, 0), (reach, height + 0.15, 0), radius=0.07, color=color)


def traffic_light(pencil: Sketch, rng: np.random.Generator, *, height: float, x: float):
    """A box with three lamps, one of them lit, that faces local -z."""
    box = sketch.shaded((0.1, 0.11, 0.1), rng.uniform(0.6, 2.2))
    if rng.random() < 0.15:
        box = (0.75, 0.6, 0.12)
    low, high, z = height - 0.5, height + 0.5, -0.16
    quad = (
        (x - 0.17, low, z),
        (x + 0.17, low, z),
        (x + 0.17, high, z),
        (x - 0.17, high, z),
    )
    pencil.tube((x, low, 0), (x, high, 0), radius=0.18, color=box)
    if pencil.eye[2] >= 0:
        return
    pencil.face(quad, box)
    lit = rng.integers(3)
    lamps: tuple[Rgb, ...] = ((0.15, 0.95, 0.45), (1.0, 0.7, 0.1), (1.0, 0.12, 0.08))
    for k, color in enumerate(lamps):
        on = k == lit
        pencil.ball(
            (x, height + 0.31 * (k - 1), z - 0.01),
            0.115,
            color=color if on else sketch.shaded(color, 0.22),
            glow=1.0 if on else 0.0,
        )


def sign(pencil: Sketch, rng: np.random.Generator, *, height: float) -> None:
    """A traffic sign whose face looks to local -z; its back is grey."""
    shape, rim, inside = _SIGNS[rng.integers(len(_SIGNS))]
    radius = rng.uniform(0.3, 0.45) * (1.1 if shape == "board" else 1.0)
    outline = _OUTLINES[shape]
    plate = [(radius * x, height + radius * y, -0.06) for x, y in outline]
    if pencil.eye[2] >= 0:
        pencil.face(plate, METALS[0])
        return
    pencil.face(plate, rim, glow=0.15)
    face = [(0.78 * radius * x, height + 0.78 * radius * y, -0.065) for x, y in outline]
    pencil.face(face, inside, layer=IMAGE, glow=0.15)
    _symbol(pencil, rng, height=height, radius=radius, inside=inside)


def _symbol(pencil: Sketch, rng: np.random.Generator, *, height, radius, inside: Rgb):
    ink: Rgb = (0.05, 0.05, 0.05) if sum(inside) > 1.6 else (0.94, 0.94, 0.92)
    for _ in range(int(rng.integers(1, 4))):
        w, h = rng.uniform(0.08, 0.3, 2) * radius
        x, y = rng.uniform(-0.25, 0.25, 2) * radius
        low, high = height + y - h, height + y + h
        bar = (
            (x - w, low, -0.07),
            (x + w, low, -0.07),
            (x + w, high, -0.07),
            (x - w, high, -0.07),
        )
        pencil.face(bar, ink, layer=IMAGE, glow=0.15)


def foliage(rng: np.random.Generator) -> np.ndarray:
    """The color of the leaves of one plant [3]: greens, and those of autumn."""
    return np.array(sketch.mixed(LEAVES, rng))


def tree(pencil: Sketch, rng: np.random.Generator, *, weather: Weather) -> None:
    """A trunk and a crown, round, tall or conical; 3.5 to 12 m high."""
    height = rng.uniform(3.5, 12)
    trunk = rng.uniform(0.22, 0.4) * height
    bark = sketch.mixed(BARK, rng)
    radius = rng.uniform(0.02, 0.032) * height
    pencil.tube(
        (0, 0, 0), (0, trunk * 1.5, 0), radius=(radius, radius * 0.5), color=bark
    )
    cone = rng.random() < 0.22
    half = (height - trunk) / 2
    wide = half * (rng.uniform(0.45, 0.6) if cone else rng.uniform(0.65, 1.05))
    count = 64 if pencil.distance < 16 else 26 if pencil.distance < 45 else 14
    places = rng.normal(0, 1, (count, 3))
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    places *= rng.random((count, 1)) ** 0.4
    if cone:
        places[:, [0, 2]] *= (1 - places[:, 1:2]) * 0.5 + 0.08
    size = (
        wide
        * (9 / (count + 8) + 0.05) ** 0.5
        * rng.uniform(0.3, 0.75, count)
        * (0.75 if cone else 1.0)
    )
    centers = places * (wide, half, wide) + (0, trunk + half, 0)
    _leaves(pencil, rng, centers=centers, sizes=size, weather=weather)
    pencil.casts(width=wide * 1.5, length=wide * 1.5, bottom=trunk, top=height * 0.92)
    pencil.casts(width=2 * radius, length=2 * radius, bottom=0, top=trunk)


def hedge(pencil: Sketch, rng: np.random.Generator, *, size, weather: Weather) -> None:
    """Bushes along local z; size is width, height, length in meters."""
    wide, high, long = size
    count = int(np.clip(long * 3, 12, 60))
    centers = rng.uniform((-0.3, 0.15, -0.5), (0.3, 0.75, 0.5), (count, 3)) * size
    sizes = min(wide, high) * rng.uniform(0.3, 0.55, count)
    x = 0.3 * wide * (1 if pencil.eye[0] > 0 else -1)
    y, z = 0.75 * high, 0.5 * long
    body = ((x, 0.0, -z), (x, y, -z), (x, y, z), (x, 0.0, z))
    color = foliage(rng)
    pencil.face(body, (color * 0.6).tolist())
    _leaves(pencil, rng, centers=centers, sizes=sizes, weather=weather, color=color)
    pencil.casts(width=wide, length=long, bottom=0, top=high * 0.8)


def _leaves(pencil, rng, *, centers, sizes, weather: Weather, color=None) -> None:
    """Ragged balls of leaves, far ones first, lighter where the sun comes from."""
    color = foliage(rng) if color is None else color
    order = np.argsort(-((centers - pencil.eye) ** 2).sum(axis=1))
    centers, sizes = centers[order], sizes[order]
    spread = centers - centers.mean(axis=0)
    spread /= np.abs(spread).max() + 1e-6
    # Against local axes, not the world's: a tree has no front, only the height counts.
    light = 0.85 + 0.3 * spread[:, 1] * (0.4 + weather.shadow)
    light *= rng.uniform(0.72, 1.28, len(centers))
    tints = np.clip(
        color * light[:, None] * rng.uniform(0.92, 1.08, (len(centers), 3)), 0, 1
    )
    radii = sizes[:, None] * rng.uniform(0.65, 1.25, (len(centers), 11))
    pencil.tufts(centers, radii, tints)
