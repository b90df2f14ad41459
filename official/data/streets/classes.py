"""The nineteen classes of a street, with the train ids of Cityscapes.

Cordts et al., 2016, https://arxiv.org/abs/1604.01685: the classes that the benchmark
scores, in the order of its train ids.
"""

import enum


class StreetClass(enum.IntEnum):
    """Ids of the classes; the eight from `PERSON` on are countable things."""

    ROAD = 0
    SIDEWALK = 1
    BUILDING = 2
    WALL = 3
    FENCE = 4
    POLE = 5
    TRAFFIC_LIGHT = 6
    TRAFFIC_SIGN = 7
    VEGETATION = 8
    TERRAIN = 9
    SKY = 10
    PERSON = 11
    RIDER = 12
    CAR = 13
    TRUCK = 14
    BUS = 15
    TRAIN = 16
    MOTORCYCLE = 17
    BICYCLE = 18


THING_IDS = tuple(
    member.value for member in StreetClass if member >= StreetClass.PERSON
)
