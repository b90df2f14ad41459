"""From a scene to flat colors and labels: light, haze, projection and painting."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from official.data.streets.camera import NEAR, Camera, clip_near
from official.data.streets.classes import StreetClass
from official.data.streets.layout import Scene
from official.data.streets.sketch import IMAGE, LABELS, Mesh
from official.data.streets.weather import Weather

SCALE = 2  # the image is painted this much larger, and averaged
_SHADOWS = 70.0  # meters: shadows farther away are too thin to see
_OUTSIDE = 30000  # pixels: held there, no coordinate overflows Pillow's integers


class Painting(NamedTuple):
    """A scene on the canvas.

    Attributes:
        image: RGB in [0, 255], without texture or shadows, uint8 [H, W, 3].
        labels: Class + `sketch.INSTANCE_FACTOR` * instance, int32 [H, W].
        shade: Darkness of the shadows that lie on the ground, uint8 [H, W].
    """

    image: np.ndarray
    labels: np.ndarray
    shade: np.ndarray


class _Faces(NamedTuple):
    """All faces of a scene, one after the other, in painting order."""

    points: np.ndarray
    starts: np.ndarray
    colors: np.ndarray
    glows: np.ndarray
    layers: list[int]
    labels: list[int]


def paint(scene: Scene) -> Painting:
    """Paints far things first, so that near things hide them."""
    camera, light = scene.camera, scene.weather
    faces = _gather([*scene.flat, *scene.standing])
    viewed = camera.view(faces.points)
    colors = _lit(faces, viewed, camera=camera, light=light)
    size = (camera.width * SCALE, camera.height * SCALE)
    image = Image.new("RGB", size)
    labels = Image.new("I", size, int(StreetClass.SKY))
    pens = ImageDraw.Draw(image), ImageDraw.Draw(labels)
    _sky(pens[0], camera=camera, light=light)
    polygons = _polygons(faces, viewed, camera=camera)
    for polygon, color, layer, label in zip(
        polygons, colors, faces.layers, faces.labels, strict=True
    ):
        if polygon is None:
            continue
        if layer & IMAGE:
            pens[0].polygon(polygon, fill=color)
        if layer & LABELS:
            pens[1].polygon(polygon, fill=label)
    return Painting(
        image=np.asarray(image.reduce(SCALE)),
        # The second of two rows and columns lies on the middle of a pixel.
        labels=np.asarray(labels)[1::SCALE, 1::SCALE],
        shade=_shade(scene),
    )


def _gather(meshes: list[Mesh]) -> _Faces:
    counts = np.concatenate([mesh.counts for mesh in meshes]).astype(np.int64)
    return _Faces(
        points=np.concatenate([mesh.points for mesh in meshes]),
        starts=np.concatenate([[0], np.cumsum(counts)]),
        colors=np.concatenate([mesh.colors for mesh in meshes]),
        glows=np.concatenate([mesh.glows for mesh in meshes]),
        layers=[layer for mesh in meshes for layer in mesh.layers],
        labels=[mesh.label for mesh in meshes for _ in mesh.layers],
    )


def _lit(faces: _Faces, viewed: np.ndarray, *, camera: Camera, light: Weather):
    """Colors of the faces as the camera sees them, a list of (R, G, B) integers."""
    first = faces.starts[:-1]
    corner = faces.points[first]
    normal = np.cross(
        faces.points[first + 1] - corner, faces.points[first + 2] - corner
    )
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    away = (normal * (corner - np.asarray(camera.eye))).sum(axis=1) > 0
    normal[away] *= -1
    sun = np.maximum(normal @ np.asarray(light.sun), 0.0)[:, None]
    brightness = np.asarray(light.ambient) + sun * np.asarray(light.sun_color)
    # Less of the sky reaches a face that looks down or aside.
    brightness *= (0.86 + 0.14 * normal[:, 1])[:, None]
    glow = faces.glows[:, None]
    colors = faces.colors * (brightness * (1 - glow) + glow)
    depth = np.add.reduceat(viewed[:, 2], first) / np.diff(faces.starts)
    clear = np.exp(-np.maximum(depth, 0) / light.visibility)[:, None]
    colors = colors * clear + np.asarray(light.haze) * (1 - clear)
    pixels = np.clip(colors * 255 + 0.5, 0, 255).astype(np.int64)
    return (pixels @ np.array([1, 256, 65536])).tolist()


def _polygons(faces: _Faces, viewed: np.ndarray, *, camera: Camera):
    """Canvas coordinates of each face, flat lists x, y, x, ...; None where unseen."""
    flat = camera.project(viewed) * SCALE
    first = faces.starts[:-1]
    low, high = np.minimum.reduceat(flat, first), np.maximum.reduceat(flat, first)
    nearest = np.minimum.reduceat(viewed[:, 2], first)
    farthest = np.maximum.reduceat(viewed[:, 2], first)
    seen = (farthest > NEAR) & (high > 0).all(axis=1)
    seen &= (low < (camera.width * SCALE, camera.height * SCALE)).all(axis=1)
    seen &= (high - low > 1.2).any(axis=1)
    values = np.clip(flat, -_OUTSIDE, _OUTSIDE).reshape(-1).tolist()
    starts = faces.starts.tolist()
    for k, (visible, cut) in enumerate(
        zip(seen.tolist(), (nearest < NEAR).tolist(), strict=True)
    ):
        if not visible:
            yield None
        elif cut:
            piece = clip_near(viewed[starts[k] : starts[k + 1]])
            corners = np.clip(camera.project(piece) * SCALE, -_OUTSIDE, _OUTSIDE)
            yield corners.reshape(-1).tolist()
        else:
            yield values[2 * starts[k] : 2 * starts[k + 1]]


def _sky(pen: ImageDraw.ImageDraw, *, camera: Camera, light: Weather) -> None:
    """From the haze at the horizon to the zenith's color, in bands."""
    bands, width = 40, camera.width * SCALE
    # A lens that looks down has the horizon above the picture: no sky, haze at most.
    low = max(0.0, (camera.horizon + 0.05 * camera.height) * SCALE)
    haze, zenith = np.asarray(light.haze), np.asarray(light.zenith)
    pen.rectangle((0, 0, width, camera.height * SCALE), fill=_ink(haze))
    for k in range(bands):
        share = (1 - k / bands) ** 1.6
        color = _ink(zenith * share + haze * (1 - share))
        pen.rectangle((0, low * k / bands, width, low * (k + 1) / bands), fill=color)


def _ink(color: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(255 * min(max(c, 0.0), 1.0)) for c in color.tolist())
    return red, green, blue


def _shade(scene: Scene) -> np.ndarray:
    """How dark shadows make the ground, if it is the ground that one sees there."""
    camera, light = scene.camera, scene.weather
    mask = Image.new("L", (camera.width, camera.height))
    pen = ImageDraw.Draw(mask)
    casters = [
        caster
        for mesh in scene.standing
        if mesh.depth < _SHADOWS
        for caster in mesh.casters
    ]
    if not casters:
        return np.asarray(mask)
    corners = np.array([caster.corners for caster in casters])
    bottoms = np.array([caster.bottom for caster in casters])
    tops = np.array([caster.top for caster in casters])
    # A point at height h throws its shadow h * drift meters aside.
    drift = -np.array([light.sun[0], light.sun[2]]) / max(light.sun[1], 0.1)
    if light.shadow > 0.02:
        low = corners + (bottoms[:, None] * drift)[:, None]
        high = corners + (tops[:, None] * drift)[:, None]
        sides = [
            np.stack([low[:, k], low[:, k - 1], high[:, k - 1], high[:, k]], axis=1)
            for k in range(4)
        ]
        cast = np.concatenate([low, high, *sides])
        _fill(pen, cast, camera=camera, value=int(255 * light.shadow))
    # Under a vehicle it is dark in any weather.
    touching = corners[(bottoms == 0) & (tops < 5)]
    _fill(pen, touching, camera=camera, value=int(255 * max(0.55, light.shadow)))
    return np.asarray(mask)


def _fill(pen: ImageDraw.ImageDraw, quads: np.ndarray, *, camera: Camera, value: int):
    """Fills quads [N, 4, 2] (x, z) that lie on the ground."""
    points = np.zeros((*quads.shape[:2], 3))
    points[..., 0], points[..., 2] = quads[..., 0], quads[..., 1]
    viewed = camera.view(points.reshape(-1, 3)).reshape(points.shape)
    whole = viewed[..., 2].min(axis=1) >= NEAR
    flat = camera.project(viewed[whole].reshape(-1, 3)).reshape(-1, 8)
    pieces = np.clip(flat, -_OUTSIDE, _OUTSIDE).tolist()
    for quad in viewed[~whole & (viewed[..., 2].max(axis=1) > NEAR)]:
        corners = camera.project(clip_near(quad)).reshape(-1)
        pieces.append(np.clip(corners, -_OUTSIDE, _OUTSIDE).tolist())
    for piece in pieces:
        pen.polygon(piece, fill=value)
