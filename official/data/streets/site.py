"""A scene under construction, and the quarter of the town that it lies in."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from official.data.streets import ground, sketch, weather
from official.data.streets.camera import Camera
from official.data.streets.classes import StreetClass
from official.data.streets.sketch import Sketch


class Quarter(NamedTuple):
    """A part of a town: what lines its streets (shares), floors, and how busy it is."""

    building: float
    wall: float
    fence: float
    hedge: float
    open: float
    floors: tuple[int, int]
    trees: float
    crowd: float
    trucks: float  # share of the vehicles


QUARTERS = (
    #       building  wall fence hedge  open  floors  trees crowd trucks
    Quarter(0.86, 0.05, 0.04, 0.02, 0.03, (3, 8), 0.35, 1.6, 0.06),  # center
    Quarter(0.36, 0.16, 0.22, 0.18, 0.08, (1, 4), 0.75, 0.8, 0.05),  # suburb
    Quarter(0.08, 0.14, 0.16, 0.32, 0.30, (2, 5), 0.95, 0.9, 0.06),  # park
    Quarter(0.32, 0.29, 0.29, 0.04, 0.06, (1, 4), 0.30, 0.5, 0.25),  # works
)


QUARTER_SHARES = (0.42, 0.3, 0.14, 0.14)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """A scene under construction: what all placing functions need to know."""

    rng: np.random.Generator
    street: ground.Street
    quarter: Quarter
    weather: weather.Weather
    camera: Camera
    instances: Iterator[int]

    def pencil(
        self, kind: StreetClass, s: float, z: float, *, turn: float = 0.0
    ) -> Sketch:
        """A sketch at a place in the street, turned against the street's direction."""
        label = int(kind)
        if kind >= StreetClass.PERSON:
            label += sketch.INSTANCE_FACTOR * next(self.instances)
        heading = self.street.heading(z) + self.street.mirror * turn
        origin = self.street.place(s, z)
        return Sketch(label, origin=origin, heading=heading, eye=self.camera.eye)

    def sees(self, s: float, z: float, *, radius: float) -> bool:
        """Whether something of `radius` meters there may be in the picture."""
        return self.camera.sees(self.street.place(s, z), radius=radius)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)
