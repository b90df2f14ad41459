"""The shapes of vehicles: side profiles in shares of length and height."""

from typing import NamedTuple


class Corner(NamedTuple):
    """A corner of a profile, and what the panel from it to the next corner is.

    z is a share of the length (-0.5 is the rear), y a share of the height.
    """

    z: float
    y: float
    panel: str


class Body(NamedTuple):
    """The shape of a vehicle or of a part of one.

    Attributes:
        profile: From the rear's lower corner over the roof to the front's lower one.
        windows: Polygons on the side, in the profile's shares (z, y).
        axles: Shares of the length.
        wheel: Radius in meters.
        taper: Share by which the roof is narrower than the belt.
    """

    profile: tuple[Corner, ...]
    windows: tuple[tuple[tuple[float, float], ...], ...]
    axles: tuple[float, ...]
    wheel: float
    taper: float


def _row(first: float, last: float, *, count: int, y: tuple[float, float]):
    """A row of `count` windows between two shares of the length."""
    step = (last - first) / count
    low, high = y
    starts = [first + k * step for k in range(count)]
    return tuple(
        ((z, low), (z, high), (z + step * 0.88, high), (z + step * 0.88, low))
        for z in starts
    )


SEDAN = Body(
    profile=(
        Corner(-0.50, 0.15, "tail"),
        Corner(-0.50, 0.62, "body"),
        Corner(-0.33, 0.68, "glass"),
        Corner(-0.17, 0.97, "body"),
        Corner(0.06, 1.00, "glass"),
        Corner(0.23, 0.66, "body"),
        Corner(0.47, 0.54, "nose"),
        Corner(0.50, 0.15, "body"),
    ),
    windows=(
        ((-0.29, 0.67), (-0.17, 0.92), (-0.06, 0.94), (-0.06, 0.66)),
        ((-0.04, 0.66), (-0.04, 0.94), (0.05, 0.94), (0.18, 0.66)),
    ),
    axles=(-0.30, 0.31),
    wheel=0.32,
    taper=0.17,
)
HATCHBACK = Body(
    profile=(
        Corner(-0.50, 0.15, "tail"),
        Corner(-0.50, 0.58, "glass"),
        Corner(-0.40, 0.95, "body"),
        Corner(0.04, 1.00, "glass"),
        Corner(0.25, 0.64, "body"),
        Corner(0.47, 0.50, "nose"),
        Corner(0.50, 0.15, "body"),
    ),
    windows=(
        ((-0.44, 0.62), (-0.36, 0.90), (-0.10, 0.93), (-0.10, 0.61)),
        ((-0.07, 0.61), (-0.07, 0.93), (0.04, 0.93), (0.20, 0.62)),
    ),
    axles=(-0.32, 0.32),
    wheel=0.31,
    taper=0.15,
)
ESTATE = Body(
    profile=(
        Corner(-0.50, 0.18, "tail"),
        Corner(-0.50, 0.58, "glass"),
        Corner(-0.46, 0.96, "body"),
        Corner(0.04, 1.00, "glass"),
        Corner(0.20, 0.66, "body"),
        Corner(0.47, 0.56, "nose"),
        Corner(0.50, 0.18, "body"),
    ),
    windows=(
        ((-0.46, 0.62), (-0.43, 0.90), (-0.24, 0.92), (-0.24, 0.62)),
        ((-0.22, 0.62), (-0.22, 0.92), (-0.05, 0.93), (-0.05, 0.62)),
        ((-0.03, 0.62), (-0.03, 0.93), (0.03, 0.94), (0.16, 0.64)),
    ),
    axles=(-0.30, 0.32),
    wheel=0.35,
    taper=0.12,
)
VAN = Body(
    profile=(
        Corner(-0.50, 0.13, "tail"),
        Corner(-0.50, 0.55, "glass"),
        Corner(-0.49, 0.97, "body"),
        Corner(0.22, 1.00, "glass"),
        Corner(0.37, 0.58, "body"),
        Corner(0.48, 0.46, "nose"),
        Corner(0.50, 0.13, "body"),
    ),
    windows=(((0.10, 0.56), (0.10, 0.88), (0.22, 0.88), (0.32, 0.56)),),
    axles=(-0.31, 0.33),
    wheel=0.34,
    taper=0.08,
)
CAB = Body(
    profile=(
        Corner(-0.50, 0.20, "body"),
        Corner(-0.50, 0.98, "body"),
        Corner(0.20, 1.00, "glass"),
        Corner(0.44, 0.52, "nose"),
        Corner(0.50, 0.14, "body"),
    ),
    windows=(((-0.20, 0.52), (-0.20, 0.86), (0.18, 0.86), (0.36, 0.52)),),
    axles=(0.05,),
    wheel=0.48,
    taper=0.05,
)
CARGO = Body(
    profile=(
        Corner(-0.50, 0.21, "doors"),
        Corner(-0.50, 1.00, "body"),
        Corner(0.50, 1.00, "body"),
        Corner(0.50, 0.21, "body"),
    ),
    windows=(),
    axles=(-0.32, -0.16),
    wheel=0.48,
    taper=0.0,
)
BUS = Body(
    profile=(
        Corner(-0.50, 0.10, "tail"),
        Corner(-0.50, 0.52, "glass"),
        Corner(-0.50, 0.90, "body"),
        Corner(-0.49, 1.00, "body"),
        Corner(0.48, 1.00, "sign"),
        Corner(0.49, 0.88, "glass"),
        Corner(0.50, 0.40, "nose"),
        Corner(0.50, 0.10, "body"),
    ),
    windows=_row(-0.47, 0.45, count=7, y=(0.45, 0.84)),
    axles=(-0.28, 0.27),
    wheel=0.48,
    taper=0.04,
)
COACH = Body(  # one car of a tram or a train
    profile=(
        Corner(-0.50, 0.08, "tail"),
        Corner(-0.50, 0.48, "glass"),
        Corner(-0.48, 0.88, "sign"),
        Corner(-0.46, 1.00, "body"),
        Corner(0.46, 1.00, "sign"),
        Corner(0.48, 0.88, "glass"),
        Corner(0.50, 0.48, "nose"),
        Corner(0.50, 0.08, "body"),
    ),
    windows=_row(-0.45, 0.45, count=6, y=(0.47, 0.80)),
    axles=(),
    wheel=0.0,
    taper=0.06,
)
