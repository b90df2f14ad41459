"""One thing of a street, near and large in the picture, with the street behind it."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from official.data.streets import layout, people, roadside, sketch, vehicles
from official.data.streets.camera import Camera
from official.data.streets.classes import StreetClass
from official.data.streets.layout import Scene
from official.data.streets.sketch import Mesh, Sketch

_INSTANCE = 1 << 16  # beyond the numbers that a street gives to its own things
_WIDE = (128, 256)  # the view that the street is laid out for; no picture has this size


class Subject(NamedTuple):
    """A kind of thing that a picture can be about.

    Attributes:
        kind: Its class.
        radius: Meters from its middle to where the lens must not be.
        facing: Largest turn in radians of its front away from the lens.
        draw: Draws it: `(pencils, rng, lit)`; each call of `pencils(kind)` gives a
            pencil at its place, the first one for the subject itself.
    """

    kind: StreetClass
    radius: float
    facing: float
    draw: Callable[[Callable[[StreetClass], Sketch], np.random.Generator, bool], None]


def scene(rng: np.random.Generator, subject: Subject, *, side: int) -> Scene:
    """A random street with a subject in the middle, for a square of `side` pixels."""
    street = layout.scene(rng, size=_WIDE)
    eye = street.camera.eye
    away = subject.radius + rng.uniform(4, 13)
    aside = rng.uniform(-0.3, 0.3)  # radians from the street's direction
    place = eye[0] + away * math.sin(aside), 0.0, away * math.cos(aside)
    heading = aside + rng.uniform(-subject.facing, subject.facing)
    drawn: list[Sketch] = []

    def pencils(kind: StreetClass) -> Sketch:
        label = int(kind) + sketch.INSTANCE_FACTOR * _INSTANCE
        drawn.append(Sketch(label, origin=place, heading=heading, eye=eye))
        return drawn[-1]

    subject.draw(pencils, rng, street.weather.lamps > 0.1)
    # What the subject is mounted on lies behind it, a hair farther.
    meshes = [pencil.mesh(depth=away + 0.02 * k) for k, pencil in enumerate(drawn)]
    camera = _framed(rng, street.camera, meshes[0], side=side)
    standing = [*_behind(street.standing, place, away, subject.radius), *meshes]
    standing.sort(key=lambda mesh: -mesh.depth)
    return street._replace(camera=camera, standing=standing)


def _framed(
    rng: np.random.Generator, camera: Camera, mesh: Mesh, *, side: int
) -> Camera:
    """The camera, turned to a mesh and zoomed until that fills the picture."""
    towards = mesh.points.mean(axis=0) - np.asarray(camera.eye)
    turned = dataclasses.replace(
        camera,
        width=side,
        height=side,
        yaw=math.atan2(towards[0], towards[2]),
        roll=rng.normal(0.0, 0.03),
    )
    viewed = turned.view(mesh.points)
    rays = viewed[:, :2] / viewed[:, 2:]
    low, high = rays.min(axis=0), rays.max(axis=0)
    # Of what is long and flat, such as a train, a part fills the picture.
    extent = min((high - low).max(), 3.0 * (high - low).min())
    focal = rng.uniform(0.6, 1.05) * side / extent
    middle = (low + high) / 2 + extent * rng.normal(0.0, 0.05, 2)
    return dataclasses.replace(
        turned,
        focal=float(focal),
        yaw=turned.yaw + math.atan(middle[0]),
        horizon=float(side / 2 + focal * middle[1]),
    )


def _behind(
    standing: Iterable[Mesh],
    place: tuple[float, float, float],
    away: float,
    radius: float,
) -> list[Mesh]:
    """The meshes that neither hide a subject nor stand where it stands."""
    kept = []
    for mesh in standing:
        points = mesh.points[:, [0, 2]] - (place[0], place[2])
        thing = mesh.label >= sketch.INSTANCE_FACTOR
        clear = np.hypot(*points.T).min(initial=math.inf) > radius + 0.5
        if mesh.depth > away and (clear or not thing):
            kept.append(mesh)
    return kept


def _person(pencils, rng: np.random.Generator, lit: bool) -> None:
    del lit
    people.person(pencils(StreetClass.PERSON), rng)


def _rider(pencils, rng: np.random.Generator, lit: bool) -> None:
    del lit
    body = pencils(StreetClass.RIDER)
    if rng.random() < 0.5:
        seat = people.motorcycle(pencils(StreetClass.MOTORCYCLE), rng)
    else:
        seat = people.bicycle(pencils(StreetClass.BICYCLE), rng)
    people.rider(body, rng, seat=seat)


def _car(pencils, rng: np.random.Generator, lit: bool) -> None:
    vehicles.car(pencils(StreetClass.CAR), rng, lit=lit)


def _truck(pencils, rng: np.random.Generator, lit: bool) -> None:
    vehicles.truck(pencils(StreetClass.TRUCK), rng, lit=lit)


def _bus(pencils, rng: np.random.Generator, lit: bool) -> None:
    vehicles.bus(pencils(StreetClass.BUS), rng, lit=lit)


def _train(pencils, rng: np.random.Generator, lit: bool) -> None:
    vehicles.train(pencils(StreetClass.TRAIN), rng, lit=lit)


def _motorcycle(pencils, rng: np.random.Generator, lit: bool) -> None:
    del lit
    people.motorcycle(pencils(StreetClass.MOTORCYCLE), rng)


def _bicycle(pencils, rng: np.random.Generator, lit: bool) -> None:
    del lit
    people.bicycle(pencils(StreetClass.BICYCLE), rng)


def _traffic_light(pencils, rng: np.random.Generator, lit: bool) -> None:
    del lit
    height = rng.uniform(2.5, 3.2)
    roadside.traffic_light(pencils(StreetClass.TRAFFIC_LIGHT), rng, height=height, x=0)
    roadside.post(pencils(StreetClass.POLE), rng, height=height + 0.5)


def _traffic_sign(pencils, rng: np.random.Generator, lit: bool) -> None:
    del lit
    height = rng.uniform(2.0, 3.0)
    roadside.sign(pencils(StreetClass.TRAFFIC_SIGN), rng, height=height)
    roadside.post(pencils(StreetClass.POLE), rng, height=height + 0.3)


_ANY = math.pi  # as good from behind as from the front
_FRONT = 0.9
_ALONG = 0.35

SUBJECTS = (
    Subject(StreetClass.TRAFFIC_LIGHT, 0.5, _FRONT, _traffic_light),
    Subject(StreetClass.TRAFFIC_SIGN, 0.5, _FRONT, _traffic_sign),
    Subject(StreetClass.PERSON, 0.5, _ANY, _person),
    Subject(StreetClass.RIDER, 1.0, _ANY, _rider),
    Subject(StreetClass.CAR, 2.6, _ANY, _car),
    Subject(StreetClass.TRUCK, 5.5, _ANY, _truck),
    Subject(StreetClass.BUS, 6.5, _ANY, _bus),
    Subject(StreetClass.TRAIN, 27.0, _ALONG, _train),
    Subject(StreetClass.MOTORCYCLE, 1.0, _ANY, _motorcycle),
    Subject(StreetClass.BICYCLE, 1.0, _ANY, _bicycle),
)
"""All of them, in the order of their classes."""
