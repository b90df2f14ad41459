"""A camera on a car: from meters in the street to pixels.

World coordinates are meters: x to the right, y up from the ground, z along the street.
"""

import dataclasses
import math

import numpy as np

NEAR = 0.6  # meters: what is closer to the lens is cut off


@dataclasses.dataclass(frozen=True, kw_only=True)
class Camera:
    """A pinhole camera whose pitch is a shift of the horizon.

    Attributes:
        width: Pixels.
        height: Pixels.
        focal: Focal length in pixels.
        horizon: Row of the horizon in the middle column, in pixels.
        eye: Position in the world, in meters.
        yaw: Radians to the right of the street's direction.
        roll: Radians.
    """

    width: int
    height: int
    focal: float
    horizon: float
    eye: tuple[float, float, float]
    yaw: float
    roll: float

    @classmethod
    def sample(cls, rng: np.random.Generator, *, size: tuple[int, int], x: float):
        """A camera as cars carry them, at `x` meters; `size` is height, width."""
        height, width = size
        return cls(
            width=width,
            height=height,
            # sqrt(2 H W) is the width of a picture twice as wide as high: 45 to 61
            # degrees of view there, and a sensible view at any other aspect.
            focal=rng.uniform(0.85, 1.2) * math.sqrt(2 * height * width),
            horizon=height * rng.uniform(0.37, 0.52),
            eye=(x, rng.uniform(1.15, 2.2), 0.0),
            yaw=rng.normal(0.0, 0.06),
            roll=rng.normal(0.0, 0.012),
        )

    def sees(self, point: tuple[float, float, float], *, radius: float) -> bool:
        """Whether something of `radius` meters may reach into the picture sideways."""
        dx, dz = point[0] - self.eye[0], point[2] - self.eye[2]
        sin, cos = math.sin(self.yaw), math.cos(self.yaw)
        right, forward = cos * dx - sin * dz, sin * dx + cos * dz
        return abs(right) < (forward + radius) * self.width / 2 / self.focal + radius

    def view(self, points: np.ndarray) -> np.ndarray:
        """World points [N, 3] in the camera's axes: right, up, forward (meters)."""
        moved = points - np.asarray(self.eye)
        sin, cos = math.sin(self.yaw), math.cos(self.yaw)
        right = cos * moved[:, 0] - sin * moved[:, 2]
        forward = sin * moved[:, 0] + cos * moved[:, 2]
        return np.stack([right, moved[:, 1], forward], axis=1)

    def project(self, viewed: np.ndarray) -> np.ndarray:
        """Pixels (x, y) [N, 2] of points from `view`; depth is held at `NEAR`."""
        scale = self.focal / np.maximum(viewed[:, 2], NEAR)
        right, down = viewed[:, 0] * scale, -viewed[:, 1] * scale
        sin, cos = math.sin(self.roll), math.cos(self.roll)
        x = self.width / 2 + cos * right - sin * down
        y = self.horizon + sin * right + cos * down
        return np.stack([x, y], axis=1)

    def plane(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where each pixel's ray meets the ground, or its mirror image in the sky.

        Returns:
            Meters to the right and forward of the camera, float32 [H, W], and how far
            the pixel lies below the horizon, in focal lengths (negative in the sky).
        """
        x = (np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2)[None, :]
        y = (np.arange(self.height, dtype=np.float32) + 0.5 - self.horizon)[:, None]
        sin, cos = math.sin(self.roll), math.cos(self.roll)
        right = (cos * x + sin * y) / np.float32(self.focal)
        down = (cos * y - sin * x) / np.float32(self.focal)
        forward = self.eye[1] / np.maximum(np.abs(down), 0.004)
        return right * forward, forward, down


def clip_near(polygon: np.ndarray) -> np.ndarray:
    """The part of a polygon from `Camera.view` [N, 3] in front of the lens [M, 3]."""
    kept = []
    for here, there in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if here[2] >= NEAR:
            kept.append(here)
        if (here[2] >= NEAR) != (there[2] >= NEAR):
            share = (NEAR - here[2]) / (there[2] - here[2])
            kept.append(here + share * (there - here))
    return np.asarray(kept).reshape(-1, 3)
