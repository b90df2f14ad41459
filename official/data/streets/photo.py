"""From a painting to a photograph: textures, shadows, clouds, lens and sensor."""

import dataclasses
import functools

import numpy as np
from PIL import Image, ImageFilter

from official.data.streets.camera import Camera
from official.data.streets.classes import StreetClass
from official.data.streets.painter import Painting
from official.data.streets.weather import Weather

_TILE = 512  # pixels, a power of 2: side of the noise that textures are cut from

# Strength of the texture: on the ground it lies in perspective, else on the image.
_ROUGHNESS = {
    StreetClass.ROAD: 0.07,
    StreetClass.SIDEWALK: 0.07,
    StreetClass.TERRAIN: 0.2,
    StreetClass.BUILDING: 0.05,
    StreetClass.WALL: 0.1,
    StreetClass.VEGETATION: 0.26,
}
_GROUND = (StreetClass.ROAD, StreetClass.SIDEWALK, StreetClass.TERRAIN)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exposure:
    """What lens and sensor do to a picture.

    Attributes:
        gains: Factors of red, green and blue.
        gamma: Exponent on colors in [0, 1].
        noise: Standard deviation in grey levels of 255.
        blur: Radius in pixels; 0 is sharp.
    """

    gains: tuple[float, float, float]
    gamma: float
    noise: float
    blur: float

    @classmethod
    def sample(cls, rng: np.random.Generator, *, height: int, brightness: float):
        """An exposure for a picture of `height` pixels and a mean level in [0, 1]."""
        # An automatic exposure, which does not quite make day of night.
        metered = (0.47 / max(brightness, 0.02)) ** 0.6
        gain = metered * rng.uniform(0.8, 1.25)
        red, green, blue = (gain * rng.normal(1, 0.025, 3)).tolist()
        sharp = rng.random() < 0.5
        return cls(
            gains=(red, green, blue),
            gamma=rng.uniform(0.85, 1.15),
            noise=float(rng.gamma(2.0, 1.5)),
            blur=0.0 if sharp else rng.uniform(0.2, 0.9) * height / 256,
        )


def develop(
    painting: Painting, *, camera: Camera, light: Weather, rng: np.random.Generator
) -> np.ndarray:
    """The photograph, uint8 [H, W, 3]."""
    kinds = (painting.labels & 255).astype(np.uint8)
    brightness = float(painting.image[::8, ::8].mean()) / 255
    exposure = Exposure.sample(rng, height=camera.height, brightness=brightness)
    right, forward, down = camera.plane()
    offset = rng.integers(0, _TILE, 2).tolist()
    gain = _texture(kinds, right, forward, camera=camera, offset=offset)
    shaded = np.zeros(256, np.float32)
    shaded[list(_GROUND)] = 1 / 255
    gain *= 1 - painting.shade * shaded.take(kinds)
    pixels = painting.image * gain[..., None]
    _cloud(
        pixels,
        right,
        forward,
        down,
        sky=kinds == StreetClass.SKY,
        light=light,
        offset=offset,
    )
    return _expose(pixels, exposure, offset=offset)


def _texture(kinds, right, forward, *, camera: Camera, offset) -> np.ndarray:
    """Factors of brightness [H, W]."""
    ground = np.zeros(256, np.float32)
    upright = np.zeros(256, np.float32)
    for kind, strength in _ROUGHNESS.items():
        (ground if kind in _GROUND else upright)[kind] = strength
    # 14 noise cells a meter; texture that is finer than a pixel fades.
    # Only the rows from the first one with ground on.
    top = int(np.argmax((ground.take(kinds) > 0).any(axis=1)))
    depth, aside = forward[top:], right[top:]
    lying = _noise((depth * 14).astype(np.int32), (aside * 14).astype(np.int32), offset)
    lying *= ground.take(kinds[top:]) * np.exp(depth * np.float32(-1 / 25))
    step = 256 / camera.height
    rows = (np.arange(camera.height) * step).astype(np.int32)[:, None]
    columns = (np.arange(camera.width) * step).astype(np.int32)[None, :]
    gain = 1 + _noise(rows, columns, offset[::-1]) * upright.take(kinds)
    gain[top:] += lying
    return gain


def _cloud(pixels, right, forward, down, *, sky, light: Weather, offset) -> None:
    """Lays clouds over the sky, in place; they shrink towards the horizon."""
    if light.clouds < 0.05:
        return
    rows, columns = np.nonzero(sky)
    if not len(rows):
        return
    depth, aside = forward[rows, columns], right[rows, columns]
    cells = (depth * 16).astype(np.int32), (aside * 16).astype(np.int32)
    share = np.clip(_noise(*cells, offset, soft=True) * 0.5 + light.clouds - 0.25, 0, 1)
    share *= 0.7 * np.clip(-down[rows, columns] * 6, 0, 1)
    white = np.minimum(np.asarray(light.haze, np.float32) * 1.08, 1.0) * 255
    under = pixels[rows, columns]
    pixels[rows, columns] = under + share[:, None] * (white - under)


def _expose(pixels: np.ndarray, exposure: Exposure, *, offset) -> np.ndarray:
    """Gains, gamma, blur and noise."""
    levels = np.arange(256, dtype=np.float32) / 255
    curves = np.stack(
        [np.minimum(levels * gain, 1.0) ** exposure.gamma for gain in exposure.gains]
    )
    table = (curves * 255 + 0.5).astype(np.uint8).reshape(-1).tolist()
    photo = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).point(table)
    if exposure.blur:
        photo = photo.filter(ImageFilter.BoxBlur(exposure.blur))
    noisy = np.asarray(photo) + _grain(photo.size, offset) * np.float32(exposure.noise)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _noise(rows: np.ndarray, columns: np.ndarray, offset, *, soft=False) -> np.ndarray:
    """Noise of about unit variance at whole-numbered places; it repeats."""
    across = (columns + offset[1]) & (_TILE - 1)
    down = (rows + offset[0]) & (_TILE - 1)
    return _tile(soft).reshape(-1).take(down * _TILE + across)


def _grain(size: tuple[int, int], offset) -> np.ndarray:
    """Sensor noise of unit variance [H, W, 3]."""
    width, height = size
    rows = (np.arange(height) + offset[0]) % _TILE
    columns = (np.arange(width) + offset[1]) % _TILE
    return _sensor_tile()[rows[:, None], columns[None, :]]


@functools.lru_cache(maxsize=2)
def _tile(soft: bool) -> np.ndarray:
    """Noise with detail at several scales, periodic [_TILE, _TILE]."""
    rng = np.random.default_rng(7)
    total = np.zeros((_TILE, _TILE), np.float32)
    for octave in range(7):
        side = _TILE >> (6 - octave)
        weight = 0.62**octave if soft else 1.0
        total += weight * _grown(rng.standard_normal((side, side)))
    return ((total - total.mean()) / total.std()).astype(np.float32)


def _grown(cells: np.ndarray) -> np.ndarray:
    """Periodic cells, enlarged to the tile with linear interpolation."""
    factor = _TILE // len(cells)
    grown = np.tile(cells, (3, 3)).astype(np.float32)
    image = Image.fromarray(grown).resize(
        (3 * _TILE, 3 * _TILE), Image.Resampling.BILINEAR
    )
    return (
        np.asarray(image)[_TILE : 2 * _TILE, _TILE : 2 * _TILE] if factor > 1 else cells
    )


@functools.lru_cache(maxsize=1)
def _sensor_tile() -> np.ndarray:
    rng = np.random.default_rng(8)
    return rng.standard_normal((_TILE, _TILE, 3)).astype(np.float32)
