"""Objects as flat faces: the pencil that all things of a street are drawn with.

Local coordinates are meters: x to the right, y up, z forward; the object stands at the
origin. Faces are painted in the order in which they are added.
"""

import colorsys
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Point = tuple[float, float, float]
Rgb = tuple[float, float, float]  # in [0, 1]

IMAGE, LABELS, BOTH = 1, 2, 3  # what a face is painted on
INSTANCE_FACTOR = 256  # label = class + INSTANCE_FACTOR * instance


class Caster(NamedTuple):
    """A block that throws a shadow: four corners on the ground (x, z), and heights."""

    corners: list[tuple[float, float]]
    bottom: float
    top: float


class Mesh(NamedTuple):
    """An object in the world.

    Attributes:
        label: Class + `INSTANCE_FACTOR` * instance.
        depth: Meters; of two objects the deeper one is painted first.
        points: Corners of all faces, one face after the other [P, 3].
        counts: Corners of each face [F].
        colors: RGB in [0, 1] before light and haze [F, 3].
        layers: `IMAGE`, `LABELS` or `BOTH` for each face [F].
        glows: Share of a face's color that needs no light [F].
        casters: What throws its shadow.
    """

    label: int
    depth: float
    points: np.ndarray
    counts: list[int]
    colors: np.ndarray
    layers: list[int]
    glows: list[float]
    casters: tuple[Caster, ...]


class Sketch:
    """Collects the faces of one object, seen from an eye."""

    def __init__(self, label: int, *, origin: Point, heading: float, eye: Point):
        """Places the object.

        Args:
            label: Class + `INSTANCE_FACTOR` * instance.
            origin: Where it stands in the world.
            heading: Radians from the world's z to the right.
            eye: Where it is seen from, in the world.
        """
        self.label = label
        self.origin = origin
        self._sin, self._cos = math.sin(heading), math.cos(heading)
        dx, dy, dz = (e - o for e, o in zip(eye, origin, strict=True))
        self.eye = (
            self._cos * dx - self._sin * dz,
            dy,
            self._sin * dx + self._cos * dz,
        )
        self.distance = math.hypot(dx, dz)
        self._points: list[Sequence[float]] = []
        self._counts: list[int] = []
        self._colors: list[Sequence[float]] = []
        self._layers: list[int] = []
        self._glows: list[float] = []
        self._casters: list[Caster] = []

    def face(
        self,
        points: Sequence[Sequence[float]],
        color: Sequence[float],
        *,
        layer: int = BOTH,
        glow: float = 0.0,
    ) -> None:
        """Adds a polygon of any number of corners."""
        self._points.extend(points)
        self._counts.append(len(points))
        self._colors.append(color)
        self._layers.append(layer)
        self._glows.append(glow)

    def faces(
        self,
        points: np.ndarray,
        colors: np.ndarray,
        *,
        layer: int = BOTH,
        glow: float | np.ndarray = 0.0,
    ) -> None:
        """Adds polygons [F, N, 3] with their colors [F, 3]; glow is one, or [F]."""
        count, corners, _ = points.shape
        self._points.extend(points.reshape(-1, 3).tolist())
        self._counts.extend([corners] * count)
        self._colors.extend(colors.tolist())
        self._layers.extend([layer] * count)
        glows = glow.tolist() if isinstance(glow, np.ndarray) else [glow] * count
        self._glows.extend(glows)

    def tube(
        self,
        start: Point,
        end: Point,
        *,
        radius: float | tuple[float, float],
        color: Rgb,
        layer: int = BOTH,
    ) -> None:
        """Adds a round bar; two radii taper it."""
        first, last = radius if isinstance(radius, tuple) else (radius, radius)
        along = [b - a for a, b in zip(start, end, strict=True)]
        sight = [(a + b) / 2 - e for a, b, e in zip(start, end, self.eye, strict=True)]
        x, y, z = _unit(_cross(along, sight))
        (ax, ay, az), (bx, by, bz) = start, end
        corners = (
            (ax - x * first, ay - y * first, az - z * first),
            (ax + x * first, ay + y * first, az + z * first),
            (bx + x * last, by + y * last, bz + z * last),
            (bx - x * last, by - y * last, bz - z * last),
        )
        self.face(corners, color, layer=layer)

    def ball(
        self, center: Point, radius: float, *, color: Rgb, glow: float = 0.0
    ) -> None:
        """Adds a sphere, seen as a disc."""
        right = self._right(center)
        cx, cy, cz = center
        corners = [
            (cx + radius * c * right[0], cy + radius * s, cz + radius * c * right[1])
            for c, s in _CIRCLE
        ]
        self.face(corners, color, glow=glow)

    def tufts(self, centers: np.ndarray, radii: np.ndarray, colors: np.ndarray) -> None:
        """Adds ragged balls: centers [F, 3], radii at corners [F, N], colors [F, 3]."""
        angles = np.linspace(0, 2 * math.pi, radii.shape[1], endpoint=False)
        right = self._right(centers.mean(axis=0).tolist())
        across, up = radii * np.cos(angles), radii * np.sin(angles)
        offsets = np.stack([across * right[0], up, across * right[1]], axis=-1)
        self.faces(centers[:, None] + offsets, colors)

    def disc(self, center: Point, radius: float, *, color: Rgb, layer: int = IMAGE):
        """Adds a disc that faces sideways, such as a wheel."""
        x, cy, cz = center
        corners = [(x, cy + radius * s, cz + radius * c) for c, s in _CIRCLE]
        self.face(corners, color, layer=layer)

    def ring(self, center: Point, radius: float, *, width: float, color: Rgb) -> None:
        """Adds a tyre that faces sideways: seen through in the image, not in labels."""
        x, cy, cz = center
        inner = radius - width
        outline = [(radius * s, radius * c) for c, s in (*_CIRCLE, _CIRCLE[0])]
        hole = [(inner * s, inner * c) for c, s in (_CIRCLE[0], *_CIRCLE[::-1])]
        corners = [(x, cy + dy, cz + dz) for dy, dz in outline + hole]
        self.face(corners, color, layer=IMAGE)
        self.disc(center, radius, color=color, layer=LABELS)

    def casts(
        self, *, width: float, length: float, bottom: float, top: float, z: float = 0.0
    ) -> None:
        """Lets a block around (0, z) throw a shadow; sizes in meters."""
        x, near, far = width / 2, z - length / 2, z + length / 2
        sin, cos = self._sin, self._cos
        corners = [
            (self.origin[0] + cos * a + sin * b, self.origin[2] + cos * b - sin * a)
            for a, b in ((-x, near), (x, near), (x, far), (-x, far))
        ]
        self._casters.append(Caster(corners, bottom, top))

    def mesh(self, *, depth: float | None = None) -> Mesh:
        """The object in the world; `depth` stands in for the distance to the eye."""
        return Mesh(
            label=self.label,
            depth=self.distance if depth is None else depth,
            points=self._world(np.array(self._points, np.float64).reshape(-1, 3)),
            counts=self._counts,
            colors=np.array(self._colors, np.float64).reshape(-1, 3),
            layers=self._layers,
            glows=self._glows,
            casters=tuple(self._casters),
        )

    def _world(self, local: np.ndarray) -> np.ndarray:
        sin, cos = self._sin, self._cos
        turn = np.array([(cos, 0.0, -sin), (0.0, 1.0, 0.0), (sin, 0.0, cos)])
        return local @ turn + self.origin

    def _right(self, center: Sequence[float]) -> tuple[float, float]:
        """The direction (x, z) that is to the right as seen from the eye."""
        dx, dz = center[0] - self.eye[0], center[2] - self.eye[2]
        length = math.hypot(dx, dz) or 1.0
        return dz / length, -dx / length


def inset(quad: Sequence[Point], u: tuple[float, float], v: tuple[float, float]):
    """A part of a quad: `u` from its first to its second corner, `v` to its last."""
    a, b, c, d = quad

    def at(s: float, t: float) -> Point:
        x, y, z = (
            (a[i] * (1 - s) + b[i] * s) * (1 - t) + (d[i] * (1 - s) + c[i] * s) * t
            for i in range(3)
        )
        return x, y, z

    return at(u[0], v[0]), at(u[1], v[0]), at(u[1], v[1]), at(u[0], v[1])


def shaded(color: Rgb, factor: float) -> Rgb:
    """A darker or lighter color, within [0, 1]."""
    red, green, blue = color
    return min(red * factor, 1.0), min(green * factor, 1.0), min(blue * factor, 1.0)


def any_color(rng: np.random.Generator, *, greys: float) -> Rgb:
    """A color of paint or cloth; `greys` is the share of black, grey and white ones."""
    pick, hue, saturation, value = rng.random(4).tolist()
    if pick < greys:
        return colorsys.hsv_to_rgb(hue, saturation * 0.06, 0.06 + 0.9 * value)
    return colorsys.hsv_to_rgb(hue, 0.25 + 0.7 * saturation, 0.15 + 0.75 * value)


def mixed(colors: Sequence[Rgb], rng: np.random.Generator) -> Rgb:
    """A random color between two of the given ones."""
    pick, other, share = rng.random(3).tolist()
    first, last = colors[int(pick * len(colors))], colors[int(other * len(colors))]
    share *= 0.5
    red, green, blue = (a + share * (b - a) for a, b in zip(first, last, strict=True))
    return red, green, blue


_CIRCLE = [
    (math.cos(2 * math.pi * k / 12), math.sin(2 * math.pi * k / 12)) for k in range(12)
]


def _cross(a: Sequence[float], b: Sequence[float]) -> Point:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def _unit(vector: Point) -> Point:
    x, y, z = vector
    length = math.sqrt(x * x + y * y + z * z) or 1.0
    return x / length, y / length, z / length
