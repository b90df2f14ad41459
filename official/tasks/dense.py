"""What tasks that answer for every pixel have in common."""

import abc
import dataclasses
from typing import TYPE_CHECKING, Any

from official.data import transforms
from official.tasks import base

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dense(base.Task, abc.ABC):
    """Training images are scaled, cut, mirrored and changed in color with their labels.

    Attributes:
        crop_size: Height and width of a training image; None is `image_size`.
        scale_range: A training image is resized to `image_size` times a random factor
            from this range, then cut or padded to `crop_size`.
        flip: Mirror half of the training images.
        brightness: Largest change, as a share of the range of pixel values.
        contrast: Largest change of the factor 1.
        saturation: Largest change of the factor 1.
        hue: Largest turn, as a share of the circle.
    """

    crop_size: base.Size | None = None
    scale_range: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        low, high = self.scale_range
        if not 0 < low <= high:
            raise ValueError(f"scale_range {self.scale_range}: want 0 < low <= high")

    def input_size(self, *, training: bool) -> base.Size:
        """Height and width of what the network is fed."""
        chosen = self.crop_size if training else None
        return self.scaled(chosen or self.image_size)

    def augmented(
        self, image: "tf.Tensor", labels: "tf.Tensor", *, seed: Any
    ) -> tuple["tf.Tensor", "tf.Tensor"]:
        """A training image and its labels, of the training size; runs in `tf.data`.

        Args:
            image: `[H, W, 3]`, pixels 0..255.
            labels: Integers `[H, W]`.
            seed: int32 `[2]`, what all that is random depends on.
        """
        image, labels = transforms.random_scale_crop(
            image,
            labels,
            base_size=self.scaled(self.image_size),
            scale_range=self.scale_range,
            crop_size=self.input_size(training=True),
            seed=seed,
        )
        if self.flip:
            image, labels = transforms.random_flip(image, labels, seed=seed)
        image = transforms.color_jitter(
            image,
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            hue=self.hue,
            seed=seed,
        )
        return image, labels
