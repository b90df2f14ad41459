"""Segments from the outputs of a file with centers, for ports: NumPy and nothing else.

Copy it beside a file and its description. `docs/panoptic_android.md` has it in Kotlin.
"""

import numpy as np


def panoptic_map(outputs, description, size):
    """What `official.tasks.center_grouping` makes of the outputs, in plain steps.

    Args:
        outputs: By name, int8, uint8 or float32, as the interpreter gives them:
            "logits" `[1, h, w, C]`, "center_heatmap" `[1, h, w, 1]` and "offsets"
            `[1, h, w, 2]`.
        description: Of the file (the .json): "segments", "outputs".
        size: Height and width of the result.

    Returns:
        int32 `[H, W]`, class * "label_divisor", and center + 1 for things, or "void";
        and the scores by id.
    """
    given = description["segments"]
    divisor, void, stride = (given[k] for k in ("label_divisor", "void", "stride"))
    logits = real(outputs, "logits", description)
    offsets = real(outputs, "offsets", description)
    heatmap = real(outputs, "center_heatmap", description)[..., 0]
    places, heights = centers(heatmap, given)
    height, width, classes = logits.shape
    # All in pixels of the network's input, whose centers are at half integers.
    scale = np.array([height, width]) * stride / np.array(size)
    middles = (places + 0.5) * stride
    class_ids, chances, owners = np.zeros(size, int), np.zeros(size), np.full(size, -1)
    for y, row in enumerate(enlarged(np.concatenate([logits, offsets], 2), size)):
        values = row[:, :classes]
        class_ids[y] = values.argmax(axis=1)
        chances[y] = 1 / np.exp(values - values.max(axis=1)[:, None]).sum(axis=1)
        x = np.flatnonzero(np.isin(class_ids[y], given["thing_ids"]))
        if len(places) and len(x):
            points = np.stack([np.full(len(x), y), x], axis=1)
            points = (points + 0.5) * scale + row[x, classes:]
            # The squared distance less what all centers share.
            distance = (middles**2).sum(axis=1) - 2 * points @ middles.T
            owners[y, x] = distance.argmin(axis=1)
    thing = np.isin(class_ids, given["thing_ids"])
    ids = np.where(thing, void, class_ids * divisor)
    owned, votes = owners >= 0, np.zeros((len(places), classes))
    np.add.at(votes, (owners[owned], class_ids[owned]), 1)
    of_center = votes.argmax(axis=1) * divisor + np.arange(len(places)) + 1
    ids[owned] = of_center[owners[owned]]
    found, place = np.unique(ids, return_inverse=True)
    place = place.reshape(size)
    areas = np.bincount(place.ravel())
    least = given["min_stuff_area"] * np.prod(size) / (height * width * stride**2)
    kept = ((found % divisor > 0) | (areas >= least)) & (found != void)
    scores = np.bincount(place.ravel(), weights=chances.ravel()) / areas
    # Stuff, whose instance is 0, has no center.
    scores = scores * np.append(1.0, np.clip(heights, 0, 1))[found % divisor]
    best = {int(found[row]): float(scores[row]) for row in np.flatnonzero(kept)}
    return np.where(kept, found, void)[place].astype(np.int32), best


def centers(heatmap, given):
    """Places `[K, 2]` and heights `[K]` of the centers, the highest first."""
    kernel, reach = given["nms_kernel"], given["nms_kernel"] // 2
    padded = np.pad(heatmap, reach, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel))
    highest = heatmap == windows.max(axis=(2, 3))
    places = np.argwhere(highest & (heatmap > given["threshold"]))
    kept: list[int] = []
    for row in np.argsort(-heatmap[tuple(places.T)], kind="stable"):
        # Of equal ones that are near each other, one is a center.
        if not (np.abs(places[kept] - places[row]).max(axis=1) <= reach).any():
            kept.append(row)
        if len(kept) == given["centers"]:
            break
    return places[kept], heatmap[tuple(places[kept].T)]


def enlarged(maps, size):
    """The rows `[W, C]` of maps `[h, w, C]` at another size, bilinear."""
    top, bottom, down = neighbours(maps.shape[0], size[0])
    left, right, across = neighbours(maps.shape[1], size[1])
    for y in range(size[0]):
        row = maps[top[y]] * (1 - down[y]) + maps[bottom[y]] * down[y]
        yield row[left] * (1 - across[:, None]) + row[right] * across[:, None]


def neighbours(small, large):
    """Of each pixel the places before and after it, and its share of the way."""
    place = np.clip((np.arange(large) + 0.5) * small / large - 0.5, 0, small - 1)
    return place.astype(int), np.minimum(place.astype(int) + 1, small - 1), place % 1


def real(outputs, name, description):
    """The real values of an output, without the batch axis."""
    tensor = next(each for each in description["outputs"] if each["name"] == name)
    values = outputs[name][0].astype(np.float32)
    return (values - tensor.get("zero_point", 0)) * tensor.get("scale", 1.0)
