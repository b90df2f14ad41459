"""The ground of a street: lanes, markings, pavements and verges, as flat strips.

Street coordinates are meters: s to the right of the middle of the road, z along it.
"""

import dataclasses
import itertools
import math

import numpy as np

from official.data.streets import roadside, sketch
from official.data.streets.classes import StreetClass
from official.data.streets.sketch import IMAGE, Mesh, Rgb, Sketch

FAR = 230.0  # meters: where the street ends


@dataclasses.dataclass(frozen=True, kw_only=True)
class Street:
    """The course and the parts of a street.

    Attributes:
        mirror: -1 where one drives on the left, else 1.
        bend: Curvature; at z meters the road lies `bend * z * z` meters aside.
        lane: Width of a lane.
        lanes: Lanes against the camera's direction, and along it.
        parking: Whether cars park on the left, on the right.
        track: Width of a tram's own track left of the road, or 0.
        strip: Width of a green strip between road and pavement, left and right.
        pavement: Width of the pavement, left and right.
        verge: Width of the terrain behind the pavement, left and right.
        crossing: z of a side street's two edges, or None.
    """

    mirror: int
    bend: float
    lane: float
    lanes: tuple[int, int]
    parking: tuple[bool, bool]
    track: float
    strip: tuple[float, float]
    pavement: tuple[float, float]
    verge: tuple[float, float]
    crossing: tuple[float, float] | None

    def place(
        self, s: float, z: float, *, y: float = 0.0
    ) -> tuple[float, float, float]:
        """World coordinates of a place in the street."""
        return self.mirror * s + self.bend * z * z, y, z

    def heading(self, z: float) -> float:
        """Radians to the right of the world's z in which the street runs at z."""
        return math.atan(2 * self.bend * z)

    def edge(self, side: int) -> float:
        """s of the kerb; `side` is -1 for the left and 1 for the right."""
        k = (side + 1) // 2
        return side * (self.lanes[k] * self.lane + 2.3 * self.parking[k])

    def bands(self, side: int) -> tuple[float, float, float, float, float]:
        """s of kerb, outer end of track, of green strip, of pavement, of verge."""
        k = (side + 1) // 2
        widths = (
            self.track if side < 0 else 0.0,
            self.strip[k],
            self.pavement[k],
            self.verge[k],
        )
        ends = self.edge(side) + side * np.cumsum(widths)
        return self.edge(side), *ends.tolist()


def meshes(street: Street, rng: np.random.Generator, *, eye) -> list[Mesh]:
    """Everything flat, in painting order."""
    grey = rng.uniform(0.24, 0.5)
    asphalt = _tinted(rng, grey)
    slabs = _tinted(rng, grey * rng.uniform(0.8, 1.75))
    grass = sketch.mixed(roadside.GRASS, rng)
    parts: list[Mesh] = []

    def add(label: StreetClass, color: Rgb, first: float, last: float) -> Sketch:
        pencil = Sketch(label, origin=(0, 0, 0), heading=0, eye=eye)
        _strip(pencil, street, color=color, ends=(first, last))
        parts.append(pencil.mesh())
        return pencil

    open_ground = StreetClass.TERRAIN if max(street.verge) else StreetClass.SIDEWALK
    add(open_ground, grass if max(street.verge) else slabs, -150.0, 150.0)
    for side in (-1, 1):
        kerb, track, strip, pavement, verge = street.bands(side)
        add(StreetClass.TERRAIN, grass, pavement, verge)
        add(StreetClass.SIDEWALK, slabs, strip, pavement)
        add(StreetClass.TERRAIN, grass, track, strip)
        add(StreetClass.ROAD, sketch.shaded(asphalt, 0.9), kerb, track)
    add(StreetClass.ROAD, asphalt, street.edge(-1), street.edge(1))
    if street.crossing:
        parts.append(_side_street(street, color=asphalt, eye=eye))
    parts.append(_details(street, rng, slabs=slabs, asphalt=asphalt, eye=eye))
    return parts


def _tinted(rng: np.random.Generator, grey: float) -> Rgb:
    red, green, blue = np.clip(grey * (1 + rng.normal(0, 0.05, 3)), 0.1, 0.85).tolist()
    return red, green, blue


def _strip(
    pencil: Sketch, street: Street, *, color, ends, span=(0.4, FAR), layer=sketch.BOTH
) -> None:
    """A strip along the street between two s, cut up so that haze and bend show."""
    if ends[0] == ends[1]:
        return
    count = 12 if span[1] - span[0] > 60 else 2
    cuts = np.geomspace(span[0], span[1], count).tolist()
    for near, far in zip(cuts[::-1][1:], cuts[::-1], strict=False):
        quad = (
            street.place(ends[0], near),
            street.place(ends[1], near),
            street.place(ends[1], far),
            street.place(ends[0], far),
        )
        pencil.face(quad, color, layer=layer)


def _side_street(street: Street, *, color: Rgb, eye) -> Mesh:
    pencil = Sketch(StreetClass.ROAD, origin=(0, 0, 0), heading=0, eye=eye)
    near, far = street.crossing or (0.0, 0.0)
    cuts = (-120, -60, -30, -12, 12, 30, 60, 120)
    for left, right in itertools.pairwise(cuts):
        corners = ((left, near), (right, near), (right, far), (left, far))
        pencil.face([street.place(s, z) for s, z in corners], color)
    return pencil.mesh()


def _details(street: Street, rng, *, slabs: Rgb, asphalt: Rgb, eye) -> Mesh:
    """Kerbs, joints, patches, markings and rails: they leave the labels as they are."""
    pencil = Sketch(StreetClass.ROAD, origin=(0, 0, 0), heading=0, eye=eye)
    _patches(pencil, street, rng, asphalt=asphalt)
    for side in (-1, 1):
        _, track, strip, pavement, _ = street.bands(side)
        kerb = sketch.shaded(slabs, 1.15 if rng.random() < 0.6 else 0.75)
        ends = (strip, strip + 0.16 * side)
        for span in _spans(street):
            _strip(pencil, street, color=kerb, ends=ends, span=span, layer=IMAGE)
        joint = sketch.shaded(slabs, 0.85)
        for z in _open(street, np.geomspace(3, 40, 14)):
            _cross_bar(
                pencil, street, ends=(strip, pavement), z=z, deep=0.012 * z, color=joint
            )
        if track != street.edge(side):
            _rails(pencil, street, middle=(track + street.edge(side)) / 2)
    _markings(pencil, street, rng)
    return pencil.mesh()


def _spans(street: Street) -> tuple[tuple[float, float], ...]:
    """The parts of the street before and behind the side street."""
    if not street.crossing:
        return ((0.4, FAR),)
    near, far = street.crossing
    return ((0.4, near), (far, FAR))


def _open(street: Street, places: np.ndarray) -> list[float]:
    """Those of the places that do not lie in the side street."""
    near, far = street.crossing or (0.0, 0.0)
    return [z for z in places.tolist() if not near - 1 < z < far + 1]


def _cross_bar(pencil: Sketch, street: Street, *, ends, z, deep, color) -> None:
    corners = ((ends[0], z), (ends[1], z), (ends[1], z + deep), (ends[0], z + deep))
    pencil.face([street.place(s, far) for s, far in corners], color, layer=IMAGE)


def _patches(pencil: Sketch, street: Street, rng, *, asphalt: Rgb) -> None:
    """Mended asphalt and dark stains."""
    for _ in range(int(rng.integers(0, 7))):
        z = rng.uniform(3, 40)
        s = rng.uniform(street.edge(-1), street.edge(1))
        ends = (s, min(s + rng.uniform(0.4, 3.0), street.edge(1)))
        color = sketch.shaded(asphalt, rng.uniform(0.72, 1.12))
        deep = rng.uniform(0.4, 8.0)
        _cross_bar(pencil, street, ends=ends, z=z, deep=deep, color=color)


def _rails(pencil: Sketch, street: Street, *, middle: float) -> None:
    for s in (middle - 0.72, middle + 0.72):
        ends = (s - 0.05, s + 0.05)
        _strip(pencil, street, color=(0.2, 0.19, 0.19), ends=ends, layer=IMAGE)


def _markings(pencil: Sketch, street: Street, rng) -> None:
    """Lines between lanes, and stripes where persons cross."""
    worn = rng.uniform(0.55, 0.95)
    paint = (worn, worn, worn * rng.choice([1.0, 0.55], p=[0.85, 0.15]))
    if rng.random() < 0.85:
        solid, half = rng.random() < 0.3, rng.uniform(0.05, 0.09)
        phase, period = rng.uniform(0, 6), rng.uniform(6, 12)
        dashes = _open(street, np.arange(2 + phase, 90, period))
        for k in range(-street.lanes[0] + 1, street.lanes[1]):
            ends = (k * street.lane - half, k * street.lane + half)
            if solid and k == 0:
                for span in _spans(street):
                    _strip(
                        pencil, street, color=paint, ends=ends, span=span, layer=IMAGE
                    )
                continue
            for z in dashes:
                _cross_bar(
                    pencil, street, ends=ends, z=z, deep=period * 0.45, color=paint
                )
    if rng.random() < 0.5:
        for side in (-1, 1):
            s = side * street.lanes[(side + 1) // 2] * street.lane - side * 0.15
            for span in _spans(street):
                ends = (s - 0.06, s + 0.06)
                _strip(pencil, street, color=paint, ends=ends, span=span, layer=IMAGE)
    if street.crossing and street.crossing[0] > 7:
        _zebra(pencil, street, z=street.crossing[0] - 4.5, color=paint)


def _zebra(pencil: Sketch, street: Street, *, z: float, color) -> None:
    for s in np.arange(street.edge(-1) + 0.3, street.edge(1) - 0.3, 1.0).tolist():
        _cross_bar(pencil, street, ends=(s, s + 0.5), z=z, deep=3.2, color=color)
