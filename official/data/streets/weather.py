"""The light of a scene: sun, sky, haze and shadows."""

import dataclasses
import math

import numpy as np

Rgb = tuple[float, float, float]  # in [0, 1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weather:
    """What lights a scene. Colors are RGB in [0, 1] and act as factors.

    Attributes:
        sun: Unit vector from the ground to the sun (x right, y up, z forward).
        sun_color: Light of the sun on a face turned to it.
        ambient: Light from everywhere.
        zenith: Color of the sky above.
        haze: Color of the sky at the horizon, and of the haze.
        visibility: Meters after which haze leaves 37 % of a color.
        shadow: Share of the light that a cast shadow takes, in [0, 1].
        clouds: Share of the sky under clouds, in [0, 1].
        lamps: Share of the windows and lamps that are lit, in [0, 1].
    """

    sun: tuple[float, float, float]
    sun_color: Rgb
    ambient: Rgb
    zenith: Rgb
    haze: Rgb
    visibility: float
    shadow: float
    clouds: float
    lamps: float


def sample(rng: np.random.Generator) -> Weather:
    """A clear day, an overcast one, or dusk."""
    make = (_clear, _overcast, _dusk)[rng.choice(3, p=[0.5, 0.32, 0.18])]
    return make(rng)


def _sun(
    rng: np.random.Generator, low: float, high: float
) -> tuple[float, float, float]:
    """A direction with its elevation between two angles in degrees."""
    elevation = math.radians(rng.uniform(low, high))
    azimuth = rng.uniform(0, 2 * math.pi)
    flat = math.cos(elevation)
    return flat * math.sin(azimuth), math.sin(elevation), flat * math.cos(azimuth)


def _tint(rng: np.random.Generator, color: Rgb, spread: float) -> Rgb:
    red, green, blue = np.clip(np.asarray(color) + rng.normal(0, spread, 3), 0, 1)
    return float(red), float(green), float(blue)


def _clear(rng: np.random.Generator) -> Weather:
    return Weather(
        sun=_sun(rng, 18, 65),
        sun_color=_tint(rng, (0.72, 0.68, 0.58), 0.04),
        ambient=_tint(rng, (0.44, 0.47, 0.54), 0.03),
        zenith=_tint(rng, (0.32, 0.52, 0.82), 0.07),
        haze=_tint(rng, (0.78, 0.85, 0.92), 0.05),
        visibility=rng.uniform(180, 700),
        shadow=rng.uniform(0.35, 0.6),
        clouds=rng.uniform(0.0, 0.6),
        lamps=0.0,
    )


def _overcast(rng: np.random.Generator) -> Weather:
    grey = rng.uniform(0.55, 0.95)
    return Weather(
        sun=_sun(rng, 60, 90),
        sun_color=_tint(rng, (0.22, 0.22, 0.22), 0.02),
        ambient=_tint(rng, (0.66, 0.67, 0.69), 0.03),
        zenith=_tint(rng, (grey * 0.9, grey * 0.92, grey * 0.95), 0.03),
        haze=_tint(rng, (grey, grey, grey), 0.03),
        visibility=rng.uniform(70, 300),
        shadow=rng.uniform(0.0, 0.12),
        clouds=rng.uniform(0.3, 0.9),
        lamps=rng.uniform(0.0, 0.1),
    )


def _dusk(rng: np.random.Generator) -> Weather:
    return Weather(
        sun=_sun(rng, 7, 18),
        sun_color=_tint(rng, (0.55, 0.36, 0.2), 0.06),
        ambient=_tint(rng, (0.32, 0.32, 0.42), 0.04),
        zenith=_tint(rng, (0.32, 0.38, 0.58), 0.08),
        haze=_tint(rng, (0.86, 0.62, 0.45), 0.09),
        visibility=rng.uniform(120, 400),
        shadow=rng.uniform(0.2, 0.45),
        clouds=rng.uniform(0.1, 0.8),
        lamps=rng.uniform(0.15, 0.5),
    )
