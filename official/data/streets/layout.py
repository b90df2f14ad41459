"""Where the things in a street stand, and how often."""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from official.data import base
from official.data.streets import frontage, ground, roadside, sketch, traffic, weather
from official.data.streets.camera import Camera
from official.data.streets.classes import StreetClass
from official.data.streets.site import QUARTER_SHARES, QUARTERS, Site
from official.data.streets.sketch import Mesh, Sketch


class Scene(NamedTuple):
    """All that the painter needs.

    Attributes:
        flat: The ground, in painting order.
        standing: What stands on it, far things first.
    """

    camera: Camera
    weather: weather.Weather
    flat: list[Mesh]
    standing: list[Mesh]


def scene(rng: np.random.Generator, *, size: tuple[int, int]) -> Scene:
    """A random street seen from a car; `size` is height, width in pixels."""
    light = weather.sample(rng)
    quarter = QUARTERS[rng.choice(len(QUARTERS), p=QUARTER_SHARES)]
    street = _street(rng)
    lane = rng.integers(street.lanes[1])
    s = (lane + 0.5) * street.lane + rng.normal(0, 0.25)
    camera = Camera.sample(rng, size=size, x=street.mirror * s)
    site = Site(
        rng=rng,
        street=street,
        quarter=quarter,
        weather=light,
        camera=camera,
        instances=itertools.count(1),
    )
    standing = [
        *_skyline(site),
        *_frontages(site),
        *_furniture(site),
        *traffic.vehicles_and_riders(site, own_lane=int(lane)),
        *traffic.passers_by(site),
    ]
    if site.chance(0.3):
        standing.append(_bonnet(site))
    standing.sort(key=lambda mesh: -mesh.depth)
    flat = ground.meshes(street, rng, eye=camera.eye)
    return Scene(camera, light, flat, standing)


def _street(rng: np.random.Generator) -> ground.Street:
    pair = rng.uniform(0, 1, (4, 2))
    begin = rng.uniform(9, 45)
    return ground.Street(
        mirror=1 if rng.random() < 0.75 else -1,
        bend=rng.normal(0, 0.0009),
        lane=rng.uniform(2.8, 3.7),
        lanes=(int(rng.integers(1, 3)), int(rng.integers(1, 3))),
        parking=(bool(pair[0, 0] < 0.4), bool(pair[0, 1] < 0.4)),
        track=3.4 if rng.random() < 0.22 else 0.0,
        strip=tuple(np.where(pair[1] < 0.25, 1.0 + 3 * pair[2], 0.0).tolist()),
        pavement=tuple((1.6 + 4.4 * pair[2] ** 2).tolist()),
        verge=tuple(np.where(pair[3] < 0.3, 1.0 + 12 * pair[3], 0.0).tolist()),
        crossing=(begin, begin + rng.uniform(6, 12)) if rng.random() < 0.4 else None,
    )


def _bonnet(site: Site) -> Mesh:
    """The front of the camera's own car, at the lower edge: it has no class."""
    camera, rng = site.camera, site.rng
    x, eye, z = camera.eye
    pencil = Sketch(
        base.IGNORE_LABEL, origin=(x, 0.0, z), heading=camera.yaw, eye=camera.eye
    )
    # Meters below the eye for each meter ahead, at the picture's lower edge.
    edge = (camera.height - camera.horizon) / camera.focal
    middle, corner = eye - 2 * edge * rng.uniform(0.82, 0.97), eye - 2.2 * edge
    front = [
        (-1.2, corner, 2.0),
        (-0.6, middle, 2.0),
        (0.6, middle, 2.0),
        (1.2, corner, 2.0),
    ]
    near = [(1.2, corner - 0.2, 1.0), (-1.2, corner - 0.2, 1.0)]
    pencil.face([*front, *near], sketch.any_color(rng, greys=0.7))
    return pencil.mesh(depth=0.0)


def _skyline(site: Site) -> Iterator[Mesh]:
    """Far houses and woods that close the view."""
    rng = site.rng
    for k, s in enumerate(np.arange(-190.0, 190.0, 14.0).tolist()):
        z = ground.FAR - 6 + 0.1 * k
        if not site.sees(s, z, radius=16.0):
            continue
        if site.chance(0.3 + 0.5 * site.quarter.building):
            pencil = site.pencil(StreetClass.BUILDING, s, z)
            high, wide = rng.uniform(6, 24), rng.uniform(8, 17)
            color = sketch.mixed(frontage.PLASTER, rng)
            pencil.face(
                (
                    (-wide / 2, 0, 0),
                    (wide / 2, 0, 0),
                    (wide / 2, high, 0),
                    (-wide / 2, high, 0),
                ),
                color,
            )
        else:
            pencil = site.pencil(StreetClass.VEGETATION, s, z)
            high = rng.uniform(3, 11)
            centers = rng.uniform((-10, 0, 0), (10, high, 1), (5, 3))
            tints = np.tile(roadside.foliage(rng), (5, 1)) * rng.uniform(
                0.8, 1.2, (5, 1)
            )
            pencil.tufts(centers, rng.uniform(3, 5, (5, 9)), np.clip(tints, 0, 1))
        yield pencil.mesh(depth=ground.FAR + 50)


def _frontages(site: Site) -> Iterator[Mesh]:
    """Both sides of the street, piece by piece."""
    for side in (-1, 1):
        s = site.street.bands(side)[-1] + 0.2 * side
        z = -2.0 + site.rng.uniform(0, 6)
        while z < 150:
            length = float(site.rng.uniform(7, 22)) * (1.0 if z < 60 else 1.8)
            gap = site.street.crossing
            if gap and z < gap[1] and z + length > gap[0] - 2.5:
                if gap[0] - 2.5 - z > 4:
                    yield from _piece(
                        site, s=s, z=z, length=gap[0] - 2.5 - z, side=side
                    )
                z = gap[1] + 2.5
                continue
            yield from _piece(site, s=s, z=z, length=length, side=side)
            z += length + (0.0 if site.chance(0.75) else float(site.rng.uniform(1, 5)))


def _piece(
    site: Site, *, s: float, z: float, length: float, side: int
) -> Iterator[Mesh]:
    """One piece of a side: a house, or something low and what is behind."""
    rng, quarter = site.rng, site.quarter
    kind = rng.choice(5, p=quarter[:5])
    # Sorted by its far end: what stands in front of it is nearer than that.
    depth = math.hypot(s - site.camera.eye[0], z + length)
    start = max(z, 0.1)
    length = z + length - start
    turn = math.atan2(
        site.street.place(s, start + length)[0] - site.street.place(s, start)[0], length
    ) - site.street.heading(start)
    turn *= site.street.mirror
    reach = side * site.street.mirror
    if kind == 0:
        floors = int(rng.integers(quarter.floors[0], quarter.floors[1] + 1))
        pencil = site.pencil(StreetClass.BUILDING, s, start, turn=turn)
        frontage.building(
            pencil, rng, length=length, side=reach, floors=floors, weather=site.weather
        )
        yield pencil.mesh(depth=depth)
        return
    yield from _behind(site, s=s, z=start, length=length, side=side, depth=depth)
    if kind == 1:
        pencil = site.pencil(StreetClass.WALL, s, start, turn=turn)
        frontage.wall(pencil, rng, length=length, side=reach)
    elif kind == 2:
        pencil = site.pencil(StreetClass.FENCE, s, start, turn=turn)
        frontage.fence(pencil, rng, length=length)
    elif kind == 3:
        pencil = site.pencil(
            StreetClass.VEGETATION, s + side, z + length / 2, turn=turn
        )
        size = (rng.uniform(1, 2.5), rng.uniform(0.8, 3.0), length)
        roadside.hedge(pencil, rng, size=size, weather=site.weather)
    else:
        return
    yield pencil.mesh(depth=depth)


def _behind(site: Site, *, s, z, length, side: int, depth: float) -> Iterator[Mesh]:
    """What shows above a wall, fence or hedge."""
    rng = site.rng
    back = s + side * rng.uniform(5, 14)
    house = site.chance(0.25 + 0.35 * site.quarter.building)
    if house and site.sees(back, z, radius=length):
        pencil = site.pencil(StreetClass.BUILDING, back, z)
        floors = int(rng.integers(1, site.quarter.floors[1] + 1))
        frontage.building(
            pencil,
            rng,
            length=length * rng.uniform(0.6, 1.0),
            side=side * site.street.mirror,
            floors=floors,
            weather=site.weather,
        )
        yield pencil.mesh(depth=depth + 2)
    for _ in range(rng.poisson(site.quarter.trees * length / 10)):
        where = s + side * rng.uniform(2.5, 9), z + rng.uniform(0, length)
        yield from _tree(site, *where, depth=depth + 1)


def _tree(
    site: Site, s: float, z: float, *, depth: float | None = None
) -> Iterator[Mesh]:
    if site.sees(s, z, radius=6.0):
        pencil = site.pencil(StreetClass.VEGETATION, s, z)
        roadside.tree(pencil, site.rng, weather=site.weather)
        yield pencil.mesh(depth=depth)


def _furniture(site: Site) -> Iterator[Mesh]:
    """Lamps, trees and signs along the kerbs, lights where a street crosses."""
    rng = site.rng
    for side in (-1, 1):
        _, track, strip, pavement, verge = site.street.bands(side)
        kerb = strip + 0.5 * side
        inward = math.pi if side * site.street.mirror > 0 else 0.0
        for z in _along(site, step=rng.uniform(18, 36), last=110):
            if site.sees(kerb, z, radius=3.0):
                pencil = site.pencil(StreetClass.POLE, kerb, z, turn=inward)
                roadside.lamp_post(pencil, rng, weather=site.weather)
                yield pencil.mesh()
        for z in _along(site, step=14, last=80):
            if site.chance(0.45) and site.sees(kerb, z, radius=1.0):
                yield from _signpost(site, s=kerb, z=z, oncoming=side < 0)
        if site.chance(site.quarter.trees):
            s = (
                (track + strip) / 2
                if strip != track
                else (
                    (pavement + verge) / 2 if verge != pavement else kerb + 0.3 * side
                )
            )
            for z in _along(site, step=rng.uniform(7, 14), last=110):
                yield from _tree(site, s, z)
    if site.street.crossing and site.chance(0.75):
        yield from _lights(site, z=site.street.crossing[0] - 1.0)
    elif site.chance(0.2):
        yield from _lights(site, z=rng.uniform(10, 45))


def _along(site: Site, *, step: float, last: float) -> list[float]:
    """Places at about every `step` meters, none in the side street."""
    rng = site.rng
    places = np.arange(rng.uniform(5, 5 + step), last, step)
    places += rng.uniform(-0.15, 0.15, len(places)) * step
    near, far = site.street.crossing or (0.0, 0.0)
    return [z for z in places.tolist() if z > 3.5 and not near - 2 < z < far + 2]


def _signpost(site: Site, *, s: float, z: float, oncoming: bool) -> Iterator[Mesh]:
    height = site.rng.uniform(2.1, 3.0)
    turn = site.rng.normal(0, 0.15) + (math.pi if oncoming else 0.0)
    pole = site.pencil(StreetClass.POLE, s, z, turn=turn)
    roadside.post(pole, site.rng, height=height + 0.3)
    plate = site.pencil(StreetClass.TRAFFIC_SIGN, s, z, turn=turn)
    roadside.sign(plate, site.rng, height=height)
    # A hair nearer than its pole when it faces the camera, else a hair farther.
    yield pole.mesh()
    yield plate.mesh(depth=pole.distance + (0.05 if oncoming else -0.05))


def _lights(site: Site, *, z: float) -> Iterator[Mesh]:
    """Lights on both kerbs, at times on an arm above the lanes."""
    rng, street = site.rng, site.street
    above = site.chance(0.4)
    for side in (-1, 1):
        s = street.bands(side)[2] + 0.5 * side
        inward = -side * street.mirror
        pole = site.pencil(StreetClass.POLE, s, z)
        box = site.pencil(StreetClass.TRAFFIC_LIGHT, s, z)
        roadside.traffic_light(box, rng, height=2.7, x=0.0)
        if above and side > 0:
            reach = rng.uniform(2.5, 5.5)
            roadside.arm(pole, height=5.4, reach=inward * reach)
            roadside.traffic_light(box, rng, height=5.2, x=inward * reach)
        else:
            roadside.post(pole, rng, height=3.4)
        yield pole.mesh()
        yield box.mesh(depth=pole.distance - 0.05)
