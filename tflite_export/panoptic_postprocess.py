"""Segments from the outputs of a panoptic file, for ports: NumPy and nothing else.

Copy it beside a file and its description. `docs/panoptic_android.md` has it in Kotlin.
"""

import numpy as np


def panoptic_map(outputs, description, size):
    """What `official.tasks.panoptic_merging` makes of masks or slots, in plain steps.

    Args:
        outputs: By name, int8, uint8 or float32, as the interpreter gives them:
            "class_logits" `[1, N, C + 1]`, and "mask_logits" `[1, h, w, N]` or "slots"
            `[1, h, w]`.
        description: Of the file (the .json): "segments", "outputs".
        size: Height and width of the result.

    Returns:
        int32 `[H, W]`, class * "label_divisor", and slot + 1 for things, or "void"; and
        the scores by id.
    """
    given = description["segments"]
    classes = real(outputs, "class_logits", description)
    if "slots" in outputs:
        masks = 20.0 * (outputs["slots"][0][..., None] == np.arange(len(classes)))
    else:
        masks = real(outputs, "mask_logits", description)
    chances = np.exp(classes - classes.max(axis=1, keepdims=True))
    chances = (chances / chances.sum(axis=1, keepdims=True))[:, :-1]  # void is last
    class_ids, scores = chances.argmax(axis=1), chances.max(axis=1)
    thing = np.isin(class_ids, given["thing_ids"])
    if given["merging"] == "MaskWise":
        sure = scores >= np.where(
            thing, given["thing_threshold"], given["stuff_threshold"]
        )
        first, second, areas, sums = claims(masks, size, given["pixel_threshold"])
        means = sums / np.maximum(areas, 1)
        scores = scores ** given["class_power"] * means ** given["mask_power"]
        slots = np.full(size, -1)
        for slot in np.argsort(-scores, kind="stable"):
            free = ((first == slot) | (second == slot)) & (slots < 0)
            enough = free.sum() > given["overlap_threshold"] * areas[slot]
            if sure[slot] and enough:
                slots[free] = slot
    else:
        sure = scores >= given["class_threshold"]
        slots = claims(masks, size, given["pixel_threshold"], sure)[0]
    ids = class_ids * given["label_divisor"] + thing * (np.arange(len(thing)) + 1)
    kept = np.bincount(slots[slots >= 0], minlength=len(ids))
    scale = np.prod(size) / (np.prod(masks.shape[:2]) * given["stride"] ** 2)
    least = scale * np.where(thing, given["min_thing_area"], given["min_stuff_area"])
    there = np.bincount(ids, weights=kept)[ids] >= np.maximum(least, 1)
    table = np.append(np.where(there, ids, given["void"]), given["void"])
    best: dict[int, float] = {}
    for slot in np.flatnonzero(there & (kept > 0)):
        best[int(ids[slot])] = max(float(scores[slot]), best.get(int(ids[slot]), 0.0))
    return table[slots].astype(np.int32), best


def claims(masks, size, threshold, counted=None):
    """The two slots above the threshold at each pixel, or -1; pixels and sums of each.

    Softmax is over the slots that are `counted`, if some are; then one slot is sought.
    """
    slots = masks.shape[2]
    found = np.full((2, *size), -1)
    areas, sums = np.zeros(slots), np.zeros(slots)
    top, bottom, down = neighbours(masks.shape[0], size[0])
    left, right, across = neighbours(masks.shape[1], size[1])
    columns, across = np.arange(size[1]), across[:, None]
    for y in range(size[0]):
        row = masks[top[y]] * (1 - down[y]) + masks[bottom[y]] * down[y]
        row = row[left] * (1 - across) + row[right] * across
        best = row.argmax(axis=1)
        chances = np.exp(row - row[columns, best][:, None])
        chances *= 1 if counted is None else counted
        chances /= np.maximum(chances.sum(axis=1, keepdims=True), 1e-30)
        for place in found[:2] if counted is None else found[:1]:
            above = chances[columns, best] > threshold
            place[y] = np.where(above, best, -1)
            areas += np.bincount(best[above], minlength=slots)
            sums += np.bincount(best[above], chances[columns, best][above], slots)
            chances[columns, best] = 0
            best = chances.argmax(axis=1)
    return found[0], found[1], areas, sums


def neighbours(small, large):
    """Of each pixel the places before and after it, and its share of the way."""
    place = np.clip((np.arange(large) + 0.5) * small / large - 0.5, 0, small - 1)
    return place.astype(int), np.minimum(place.astype(int) + 1, small - 1), place % 1


def real(outputs, name, description):
    """The real values of an output, without the batch axis."""
    tensor = next(each for each in description["outputs"] if each["name"] == name)
    values = outputs[name][0].astype(np.float32)
    return (values - tensor.get("zero_point", 0)) * tensor.get("scale", 1.0)
