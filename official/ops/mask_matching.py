"""Which query of a mask transformer learns which segment."""

# B batch, P pixels, K segments, N queries, C classes

from keras import ops

from official.ops import assignment
from official.ops import segments as segments_lib

EPSILON = 1e-5


def match(mask_logits, class_logits, segments, segment_classes, *, stride: int = 1):
    """Gives each segment the query that fits it best, all segments together.

    What fits is the product of the dice of the masks and the score of the class, as in
    MaX-DeepLab and kMaX-DeepLab (Yu et al., 2022, https://arxiv.org/abs/2207.04044);
    the sum of it over all segments is the largest there is. A segment that has no pixel
    on the grid of the comparison gets none. Nothing of it has a gradient.

    Args:
        mask_logits: `[B, h, w, N]`.
        class_logits: `[B, N, C + 1]`, void last.
        segments: `[B, H, W]`: the segment of each pixel, -1 what does not count; at
            the masks' stride or finer by a whole factor.
        segment_classes: `[B, K]`, -1 where there is no segment.
        stride: Only every so many-th row and column of the masks is compared.

    Returns:
        slots: int32 `[B, K]`, the query of each segment or -1.
    """
    size = tuple(mask_logits.shape[1:3])
    segments = segments_lib.subsample(ops.cast(segments, "int32"), size)
    begin = stride // 2 if min(size) > stride // 2 else 0
    segments = segments_lib.flat(segments[:, begin::stride, begin::stride])
    logits = segments_lib.flat(mask_logits[:, begin::stride, begin::stride])
    classes = ops.cast(segment_classes, "int32")
    members = segments_lib.members(segments, classes.shape[1])
    masks = ops.softmax(ops.cast(logits, "float32"), axis=-1)
    class_logits = ops.cast(class_logits, "float32")
    similar = dice(masks, members) * class_scores(class_logits, classes)
    present = ops.logical_and(classes >= 0, ops.max(members, axis=1) > 0.0)
    return assignment.assign(-similar, present)


def dice(masks, members):
    """Dice of all segments and queries, on the pixels of segments, `[B, K, N]`.

    Args:
        masks: `[B, P, N]`, from 0 to 1.
        members: `[B, P, K]`, 0 or 1.
    """
    members_BKP = ops.transpose(members, (0, 2, 1))
    common = ops.matmul(members_BKP, masks)
    # Each pixel that counts is of exactly one segment.
    mask_areas = ops.sum(common, axis=1, keepdims=True)
    areas = ops.sum(members_BKP, axis=2, keepdims=True)
    return common / ((areas + mask_areas) / 2 + EPSILON)


def class_scores(class_logits, classes):
    """What each query gives the class of each segment, `[B, K, N]`.

    Args:
        class_logits: `[B, N, C + 1]`.
        classes: int32 `[B, K]`; of -1 the score is 0.
    """
    scores = ops.softmax(class_logits, axis=-1)
    hits = ops.one_hot(classes, class_logits.shape[-1], dtype="float32")
    return ops.matmul(hits, ops.transpose(scores, (0, 2, 1)))
