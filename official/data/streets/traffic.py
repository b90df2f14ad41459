"""What moves in a street, or is parked there: vehicles, riders and persons."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from official.data.streets import people, vehicles
from official.data.streets.classes import StreetClass
from official.data.streets.site import Site
from official.data.streets.sketch import Mesh, Sketch


class Kind(NamedTuple):
    """A kind of vehicle, and the length in meters that it is given in a lane."""

    label: StreetClass
    draw: Callable[..., None]
    length: float


_CAR = Kind(StreetClass.CAR, vehicles.car, 5.0)
_TRUCK = Kind(StreetClass.TRUCK, vehicles.truck, 9.5)
_BUS = Kind(StreetClass.BUS, vehicles.bus, 12.5)
_BUSES = 0.05  # share of the vehicles


def vehicles_and_riders(site: Site, *, own_lane: int) -> Iterator[Mesh]:
    """Moving and parked vehicles, those that cross, and a tram."""
    street, rng = site.street, site.rng
    density = rng.uniform(0.15, 1.2)
    for k in range(-street.lanes[0], street.lanes[1]):
        own = k == own_lane
        turn = 0.0 if k >= 0 else math.pi
        first = rng.uniform(8, 45) if own else rng.uniform(2, 40)
        yield from _queue(
            site, (k + 0.5) * street.lane, z=first, gap=28 / density, turn=turn
        )
    for side in (-1, 1):
        if street.parking[(side + 1) // 2]:
            s = street.edge(side) - side * 1.15
            turn = 0.0 if side > 0 else math.pi
            yield from _queue(
                site, s, z=rng.uniform(1, 25), gap=2.5 / density, turn=turn
            )
    if street.crossing and site.chance(0.5):
        z = sum(street.crossing) / 2
        turn = rng.choice([-1, 1]) * math.pi / 2
        yield from _vehicle(site, _any_kind(site), rng.uniform(-12, 12), z, turn=turn)
    if street.track and site.chance(0.75):
        yield _tram(site)
    yield from _cyclists(site)


def passers_by(site: Site) -> Iterator[Mesh]:
    """Persons on the pavements and the crossing, and cycles left standing."""
    rng, street = site.rng, site.street
    crowd = site.quarter.crowd * rng.uniform(0.2, 1.8)
    for side in (-1, 1):
        _, _, kerb, front, _ = street.bands(side)
        for _ in range(rng.poisson(4.5 * crowd)):
            s = kerb + (front - kerb) * rng.uniform(0.1, 1.0)
            z = 4.5 + 55 * rng.random() ** 1.3
            turn = rng.choice([0.0, math.pi]) + rng.normal(0, 0.4)
            yield from _standing(
                site, StreetClass.PERSON, people.person, s, z, turn=turn
            )
        if site.chance(0.5):
            yield from _parked_cycles(site, s=kerb + side * rng.uniform(0.5, 1.2))
    if street.crossing:
        for _ in range(rng.poisson(1.5 * crowd)):
            s = rng.uniform(street.edge(-1), street.edge(1))
            z = street.crossing[0] - rng.uniform(1.5, 4.3)
            if z > 4:
                turn = rng.choice([-1, 1]) * math.pi / 2
                yield from _standing(
                    site, StreetClass.PERSON, people.person, s, z, turn=turn
                )


def _any_kind(site: Site) -> Kind:
    pick, trucks = site.rng.random(), site.quarter.trucks
    return _TRUCK if pick < trucks else _BUS if pick < trucks + _BUSES else _CAR


def _vehicle(
    site: Site, kind: Kind, s: float, z: float, *, turn: float
) -> Iterator[Mesh]:
    """A vehicle around a place, if one can see it."""
    if site.sees(s, z, radius=kind.length / 2):
        pencil = site.pencil(kind.label, s, z, turn=turn)
        kind.draw(pencil, site.rng, lit=site.weather.lamps > 0.1)
        yield pencil.mesh()


def _queue(
    site: Site, s: float, *, z: float, gap: float, turn: float
) -> Iterator[Mesh]:
    """Vehicles one after the other, `gap` meters apart on average, to 90 m."""
    near, far = site.street.crossing or (0.0, 0.0)
    while z < 90:
        if gap < 10 and near - 6 < z < far:  # nobody parks in a side street
            z = far + 2
        kind = _any_kind(site)
        place = s + site.rng.normal(0, 0.12), z + kind.length / 2
        yield from _vehicle(site, kind, *place, turn=turn)
        z += kind.length + 1.2 + site.rng.exponential(gap)


def _tram(site: Site) -> Mesh:
    s = site.street.edge(-1) - site.street.track / 2
    z = site.rng.uniform(14, 60)
    pencil = site.pencil(StreetClass.TRAIN, s, z)
    length = vehicles.train(pencil, site.rng, lit=site.weather.lamps > 0.1)
    # Sorted by its far end, as the houses are: it is long and stands aside.
    return pencil.mesh(depth=pencil.distance + length / 2)


def _cyclists(site: Site) -> Iterator[Mesh]:
    """Riders at the edges of the lanes, or between them."""
    rng = site.rng
    for _ in range(rng.poisson(1.1)):
        side = 1 if site.chance(0.6) else -1
        lanes = side * site.street.lanes[(side + 1) // 2] * site.street.lane
        s, z = lanes - side * rng.uniform(0.5, 1.2), 5 + 40 * rng.random() ** 1.4
        turn = (0.0 if side > 0 else math.pi) + rng.normal(0, 0.15)
        if site.street.crossing and site.chance(0.3):
            z, turn = site.street.crossing[0] + 2.0, rng.choice([-1, 1]) * math.pi / 2
        yield from _mounted(site, s, z, turn=turn)


def _mounted(site: Site, s: float, z: float, *, turn: float) -> Iterator[Mesh]:
    motor = site.chance(0.5)
    kind = StreetClass.MOTORCYCLE if motor else StreetClass.BICYCLE
    wheels = site.pencil(kind, s, z, turn=turn)
    draw = people.motorcycle if motor else people.bicycle
    seat = draw(wheels, site.rng)
    body = site.pencil(StreetClass.RIDER, s, z, turn=turn)
    people.rider(body, site.rng, seat=seat)
    yield wheels.mesh()
    yield body.mesh(depth=wheels.distance - 0.02)


def _parked_cycles(site: Site, *, s: float) -> Iterator[Mesh]:
    rng = site.rng
    motor = site.chance(0.45)
    kind = StreetClass.MOTORCYCLE if motor else StreetClass.BICYCLE
    draw = people.motorcycle if motor else people.bicycle
    z, turn = 5 + 25 * rng.random(), rng.uniform(0.2, math.pi - 0.2)
    for k in range(int(rng.integers(1, 5))):
        yield from _standing(site, kind, draw, s, z + 0.9 * k, turn=turn)


def _standing(
    site: Site,
    kind: StreetClass,
    draw: Callable[[Sketch, np.random.Generator], object],
    s: float,
    z: float,
    *,
    turn: float,
) -> Iterator[Mesh]:
    if site.sees(s, z, radius=1.5):
        pencil = site.pencil(kind, s, z, turn=turn)
        draw(pencil, site.rng)
        yield pencil.mesh()
