"""Persons on foot and on wheels, and the wheels: bicycles and motorcycles."""

import math
from typing import NamedTuple

import numpy as np

from official.data.streets import sketch
from official.data.streets.sketch import IMAGE, LABELS, Point, Rgb, Sketch

SKIN: tuple[Rgb, ...] = ((0.87, 0.68, 0.56), (0.62, 0.42, 0.3), (0.33, 0.21, 0.15))
HAIR: tuple[Rgb, ...] = ((0.07, 0.05, 0.04), (0.35, 0.22, 0.12), (0.7, 0.6, 0.42))
RUBBER: Rgb = (0.06, 0.06, 0.065)


class Clothes(NamedTuple):
    skin: Rgb
    hair: Rgb
    top: Rgb
    legs: Rgb
    shoes: Rgb


def _dress(rng: np.random.Generator) -> Clothes:
    return Clothes(
        skin=sketch.mixed(SKIN, rng),
        hair=sketch.mixed(HAIR, rng),
        top=sketch.any_color(rng, greys=0.35),
        legs=sketch.any_color(rng, greys=0.6),
        shoes=sketch.any_color(rng, greys=0.8),
    )


def person(pencil: Sketch, rng: np.random.Generator) -> None:
    """Someone who stands or walks, 1.05 to 1.95 m tall."""
    clothes = _dress(rng)
    tall = rng.uniform(1.05, 1.4) if rng.random() < 0.12 else rng.normal(1.72, 0.09)
    stride = rng.choice([0.0, 1.0], p=[0.3, 0.7]) * rng.uniform(-0.5, 0.5)
    girth = rng.uniform(0.85, 1.25)
    hip, shoulder = 0.48 * tall, 0.81 * tall
    for side in (-1.0, 1.0):
        _leg(pencil, side, stride=stride * side, hip=hip, girth=girth, clothes=clothes)
    _arm(pencil, -1.0, swing=stride, shoulder=shoulder, girth=girth, clothes=clothes)
    _torso(pencil, hip=hip, shoulder=shoulder, girth=girth, clothes=clothes, rng=rng)
    _arm(pencil, 1.0, swing=-stride, shoulder=shoulder, girth=girth, clothes=clothes)
    _head(pencil, (0.0, 0.925 * tall, 0.02), clothes, size=0.066 * tall)
    if rng.random() < 0.3:
        bag = sketch.any_color(rng, greys=0.4)
        middle = 0.68 * tall
        pencil.tube(
            (0, middle - 0.16, -0.2), (0, middle + 0.2, -0.18), radius=0.15, color=bag
        )
    pencil.casts(width=0.4, length=0.3, bottom=0.0, top=tall)


def _leg(pencil: Sketch, side: float, *, stride, hip, girth, clothes: Clothes) -> None:
    x = 0.09 * side * girth
    foot = (x, 0.05, 0.75 * stride * hip)
    # The rear leg is bent, the front one straight.
    knee = (
        x * 1.1,
        0.5 * hip,
        0.42 * stride * hip + (0.12 if stride < -0.05 else 0.03),
    )
    thigh, shin = 0.095 * girth, 0.065 * girth
    pencil.tube((x, hip, 0), knee, radius=(thigh, shin), color=clothes.legs)
    pencil.tube(knee, foot, radius=(shin, 0.045), color=clothes.legs)
    toe = (foot[0], 0.04, foot[2] + 0.17)
    pencil.tube((foot[0], 0.04, foot[2] - 0.06), toe, radius=0.05, color=clothes.shoes)


def _arm(
    pencil: Sketch, side: float, *, swing, shoulder, girth, clothes: Clothes
) -> None:
    x = 0.2 * side * girth
    top = (x, shoulder - 0.03, 0.0)
    elbow = (x * 1.25, shoulder * 0.78, 0.3 * swing)
    hand = (x * 1.25, shoulder * 0.6, 0.7 * swing + 0.06)
    sleeve = sketch.shaded(clothes.top, 0.85)
    pencil.tube(top, elbow, radius=(0.065 * girth, 0.05), color=sleeve)
    pencil.tube(elbow, hand, radius=(0.05, 0.04), color=sleeve)
    pencil.ball(hand, 0.05, color=clothes.skin)


def _torso(pencil: Sketch, *, hip, shoulder, girth, clothes: Clothes, rng) -> None:
    waist, chest = 0.15 * girth, 0.21 * girth
    bottom = hip - 0.03
    if rng.random() < 0.25:  # a coat or a skirt
        cloth = clothes.top if rng.random() < 0.6 else clothes.legs
        hem = (0, hip * rng.uniform(0.45, 0.75), 0)
        pencil.tube(hem, (0, hip + 0.12, 0), radius=(0.23 * girth, waist), color=cloth)
    middle = (0.0, (bottom + shoulder) / 2, 0.0)
    pencil.tube((0, bottom, 0), middle, radius=(waist * 1.1, waist), color=clothes.top)
    pencil.tube(middle, (0, shoulder, 0), radius=(waist, chest), color=clothes.top)
    neck = (0, shoulder + 0.05, 0)
    pencil.tube((0, shoulder, 0), neck, radius=(chest, 0.08), color=clothes.top)
    pencil.tube(neck, (0, shoulder + 0.13, 0.01), radius=0.055, color=clothes.skin)


def _head(pencil: Sketch, center: Point, clothes: Clothes, *, size: float) -> None:
    x, y, z = center
    pencil.ball((x, y + 0.03, z - 0.02), size * 1.16, color=clothes.hair)
    # The face shows when it is turned to the eye.
    if pencil.eye[2] > 0:
        pencil.ball((x, y - 0.02, z), size * 0.98, color=clothes.skin)


def rider(pencil: Sketch, rng: np.random.Generator, *, seat: float) -> None:
    """Someone who sits at `seat` meters, leans forward and holds a handlebar."""
    clothes = _dress(rng)
    lean = rng.uniform(0.1, 0.38)
    hips: Point = (0.0, seat + 0.06, -0.22)
    chest: Point = (0.0, seat + 0.56, -0.22 + lean)
    pedal = rng.uniform(0, 2 * math.pi)
    for side in (-1.0, 1.0):
        turn = pedal + (math.pi if side > 0 else 0.0)
        foot = (0.11 * side, 0.3 + 0.16 * math.sin(turn), 0.05 + 0.16 * math.cos(turn))
        knee = (0.13 * side, 0.5 * (seat + foot[1]) + 0.1, 0.22 + 0.1 * math.cos(turn))
        pencil.tube(hips, knee, radius=(0.11, 0.075), color=clothes.legs)
        pencil.tube(knee, foot, radius=(0.075, 0.05), color=clothes.legs)
        toe = (foot[0], foot[1] - 0.03, foot[2] + 0.16)
        pencil.tube(foot, toe, radius=0.05, color=clothes.shoes)
    pencil.tube(hips, chest, radius=(0.16, 0.21), color=clothes.top)
    for side in (-1.0, 1.0):
        elbow = (0.3 * side, seat + 0.32, chest[2] + 0.12)
        grip = (0.25 * side, seat + 0.16, 0.36)
        shoulder = (0.19 * side, chest[1] - 0.04, chest[2])
        sleeve = sketch.shaded(clothes.top, 0.85)
        pencil.tube(shoulder, elbow, radius=(0.065, 0.05), color=sleeve)
        pencil.tube(elbow, grip, radius=0.05, color=sleeve)
    pencil.tube(
        chest, (0, chest[1] + 0.1, chest[2] + 0.03), radius=0.07, color=clothes.skin
    )
    helmet = rng.random() < 0.55
    hair = sketch.any_color(rng, greys=0.4) if helmet else clothes.hair
    head = (0.0, chest[1] + 0.22, chest[2] + 0.06)
    _head(pencil, head, clothes._replace(hair=hair), size=0.125 if helmet else 0.11)
    pencil.casts(width=0.4, length=0.6, bottom=seat * 0.5, top=seat + 0.9)


def bicycle(pencil: Sketch, rng: np.random.Generator) -> float:
    """Two wheels and a frame; returns the height of the saddle in meters."""
    paint = sketch.any_color(rng, greys=0.4)
    wheel = rng.uniform(0.31, 0.36)
    rear, front = (0.0, wheel, -0.52), (0.0, wheel, 0.52)
    saddle, crank = (0.0, 0.92, -0.22), (0.0, 0.3, -0.05)
    stem, bar = (0.0, 0.86, 0.34), (0.0, 1.02, 0.36)
    for hub in (rear, front):
        pencil.ring(hub, wheel, width=0.05, color=RUBBER)
        # Seen from behind, the ring is a line: the tyre and what hangs on it are not.
        _upright(pencil, hub[2], width=0.07, top=2 * wheel)
    frame = (
        (rear, crank),
        (rear, saddle),
        (crank, saddle),
        (crank, stem),
        (stem, saddle),
    )
    for start, end in (*frame, (front, stem), (stem, bar)):
        pencil.tube(start, end, radius=0.028, color=paint)
    pencil.face(
        ((0, 0.3, -0.1), (0, 0.88, -0.2), (0, 0.84, 0.34), (0, 0.4, 0.5)),
        paint,
        layer=LABELS,
    )
    pencil.tube((-0.28, 1.02, 0.34), (0.28, 1.02, 0.34), radius=0.025, color=RUBBER)
    pencil.tube((0, 0.94, -0.36), (0, 0.94, -0.1), radius=0.05, color=RUBBER)
    if rng.random() < 0.4:
        basket = sketch.any_color(rng, greys=0.5)
        pencil.tube((0, 0.75, 0.56), (0, 1.0, 0.56), radius=0.17, color=basket)
    pencil.casts(width=0.1, length=1.7, bottom=0.0, top=0.8)
    return 0.9


def motorcycle(pencil: Sketch, rng: np.random.Generator) -> float:
    """A motorcycle or a scooter; returns the height of the seat in meters."""
    paint = sketch.any_color(rng, greys=0.45)
    dark: Rgb = (0.12, 0.12, 0.13)
    wheel = rng.uniform(0.26, 0.32)
    behind = pencil.eye[2] < 0
    for z in (0.68, -0.68) if behind else (-0.68, 0.68):
        pencil.disc((0, wheel, z), wheel, color=RUBBER, layer=sketch.BOTH)
        pencil.disc((0, wheel, z), wheel * 0.55, color=(0.5, 0.5, 0.52), layer=IMAGE)
        _upright(pencil, z, width=0.16, top=2 * wheel)
    pencil.tube((0, wheel, 0.68), (0, 0.95, 0.42), radius=0.05, color=dark)
    pencil.tube((0, 0.42, -0.5), (0, 0.45, 0.38), radius=(0.16, 0.2), color=dark)
    pencil.tube((0, 0.72, -0.05), (0, 0.8, 0.42), radius=(0.15, 0.17), color=paint)
    pencil.tube((0, 0.78, -0.72), (0, 0.76, 0.02), radius=(0.08, 0.11), color=dark)
    pencil.tube((0, 0.58, -0.78), (0, 0.66, -0.2), radius=(0.11, 0.14), color=paint)
    pencil.tube((-0.36, 1.04, 0.4), (0.36, 1.04, 0.4), radius=0.04, color=dark)
    if behind:
        pencil.ball((0, 0.66, -0.8), 0.07, color=(0.8, 0.08, 0.06), glow=0.3)
    else:
        pencil.face(_board(0.3, low=0.7, high=1.1, z=0.5), paint)
        pencil.ball((0, 0.88, 0.56), 0.11, color=(0.95, 0.95, 0.85), glow=0.4)
    pencil.casts(width=0.5, length=1.9, bottom=0.0, top=1.0)
    return 0.8


def _upright(pencil: Sketch, z: float, *, width: float, top: float) -> None:
    pencil.face(_board(width, low=0.0, high=top, z=z), RUBBER)


def _board(width: float, *, low: float, high: float, z: float):
    """A quad across the direction of travel."""
    x = width / 2
    return ((-x, low, z), (x, low, z), (x, high, z), (-x, high, z))
