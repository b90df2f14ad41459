"""Targets and outputs of a mask transformer, for tests."""

import numpy as np

SIZES = {"": (8, 16), "aux1_": (4, 8)}


def drawn(images=2, *, queries=7, classes=4, segments=5, seed=0):
    """Blocks of four pixels a side, of which some are void, and matched at random."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(-1, segments - 1, (images, 2, 4))
    maps = np.repeat(np.repeat(blocks, 4, axis=1), 4, axis=2)
    ids = generator.integers(0, classes, (images, segments))
    ids[:, -1] = -1
    present = np.array([np.isin(range(segments), one) for one in blocks])
    ids = np.where(present, ids, -1)
    slots = np.array([generator.permutation(queries)[:segments] for _ in range(images)])
    own = np.take_along_axis(ids, np.maximum(blocks, 0).reshape(images, -1), axis=1)
    semantic = np.where(blocks < 0, 255, own.reshape(blocks.shape))
    targets = {
        "segments": maps.astype("int32"),
        "segment_classes": ids.astype("int32"),
        "slots": np.where(ids < 0, -1, slots).astype("int32"),
        "semantic": semantic.repeat(4, axis=1).repeat(4, axis=2).astype("int32"),
        "chance": generator.uniform(size=images).astype("float32"),
    }
    outputs = {}
    for prefix, size in SIZES.items():
        features = generator.normal(size=(images, *size, 6))
        outputs |= {
            f"{prefix}mask_logits": generator.normal(size=(images, *size, queries)),
            f"{prefix}class_logits": generator.normal(
                size=(images, queries, classes + 1)
            ),
            f"{prefix}pixel_features": features
            / np.linalg.norm(features, axis=-1, keepdims=True),
            f"{prefix}semantic_logits": generator.normal(size=(images, *size, classes)),
        }
    return targets, {name: value.astype("float32") for name, value in outputs.items()}
