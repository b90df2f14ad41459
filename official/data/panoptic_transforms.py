"""Classes and instances of pixels in one map, for the transforms of label maps.

    labels = panoptic_transforms.pack(example["semantic"], example["instance"])
    image, labels = transforms.random_scale_crop(example["image"], labels, ...)
    image, labels = transforms.random_flip(image, labels, seed=seed)
    semantic, instance = panoptic_transforms.unpack(labels)

Both then move alike, in the time that one takes. The padding of `transforms`,
`IGNORE_LABEL`, is that class and no instance.
"""

import tensorflow as tf

_BITS = 8  # of a class, or of `IGNORE_LABEL`


def pack(semantic: tf.Tensor, instance: tf.Tensor) -> tf.Tensor:
    """One map int32 `[..., H, W]` of two; instances below 2**23."""
    classes = tf.cast(semantic, tf.int32)
    return classes + tf.bitwise.left_shift(tf.cast(instance, tf.int32), _BITS)


def unpack(labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Classes and instances, int32 `[..., H, W]`, of what `pack` gave."""
    classes = tf.bitwise.bitwise_and(labels, 2**_BITS - 1)
    return classes, tf.bitwise.right_shift(labels, _BITS)
