"""ReMaX: what relaxes the training of a mask transformer and is gone afterwards.

Sun et al., 2023, https://arxiv.org/abs/2306.17319. The authors published no code. The
formulas are recalled from the paper and agree with a re-implementation by others
(github.com/xushilin1/remax_deeplab at b9cf318); where these differ it is said.
"""

# B batch, P pixels, K segments, N queries, C classes

from keras import ops

GATES = ("sigmoid", "softmax")


def relaxed(
    mask_logits,
    class_logits,
    semantic_logits,
    *,
    activation: str,
    stop_gradient: bool = True,
):
    """ReMask: mask logits raised where the semantics agree with the query's class.

    `m + g m` with a gate g of every pixel and query, the sum over the classes of the
    semantic score and the query's. Void has no share in it (the re-implementation gives
    it one).

    Args:
        mask_logits: `[B, P, N]`.
        class_logits: `[B, N, C + 1]`, void last.
        semantic_logits: `[B, P, C]`.
        activation: What makes scores of the class logits. "sigmoid", as the
            re-implementation has it: of logits of zero the gate is C / 4. "softmax"
            over the classes without void: the gate is in [0, 1].
        stop_gradient: The gate is a constant, so that no gradient reaches the
            semantics, as in the paper; without, it is learned, too.

    Raises:
        ValueError: If the activation is not one of `GATES`, or if masks and semantics
            are of different sizes.
    """
    if activation not in GATES:
        raise ValueError(
            f"gate_activation = {activation!r}: must be one of "
            + ", ".join(map(repr, GATES))
        )
    if semantic_logits.shape[1] != mask_logits.shape[1]:
        raise ValueError(
            f"semantic logits of {semantic_logits.shape[1]} pixels for masks of "
            f"{mask_logits.shape[1]}: ReMask wants them at the size of the masks"
        )
    squash = ops.sigmoid if activation == "sigmoid" else ops.softmax
    classes_BCN = ops.transpose(squash(class_logits[..., :-1]), (0, 2, 1))
    gate = ops.matmul(ops.sigmoid(semantic_logits), classes_BCN)
    if stop_gradient:
        gate = ops.stop_gradient(gate)
    return mask_logits + gate * mask_logits


def reclassified(hits, mask_logits, members, classes, *, eta: float):
    """ReClass: a query also answers for the classes of what its mask covers.

    `eta y_m + (1 - eta y_m) y`, y_m the share of the area of each class that a mask
    covers. A query's own class stays 1 and the others rise
    from 0 to `eta y_m`, so that the classes do not sum to 1; void keeps its value.
    Crowds are no part of an area here: the masks do not learn them either.

    Args:
        hits: y, `[B, N, C + 1]`, the class of each query, void last.
        mask_logits: `[B, P, N]`, not relaxed; has no gradient here.
        members: `[B, P, K]`, 1 where a pixel is of a segment.
        classes: One-hot classes of the segments, `[B, K, C + 1]`.
        eta: From 0 to 1.
    """
    masks_BNP = ops.transpose(ops.sigmoid(mask_logits), (0, 2, 1))
    covered = ops.matmul(ops.matmul(masks_BNP, members), classes)
    areas = ops.matmul(ops.sum(members, axis=1, keepdims=True), classes)
    share = eta * ops.stop_gradient(covered / ops.maximum(areas, 1.0))
    return share + (1 - share) * hits
