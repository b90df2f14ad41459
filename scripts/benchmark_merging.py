"""How long it takes to make segments of 128 slots for a 1024x2048 image, on one core.

    python scripts/benchmark_merging.py [--repeats=5]

Mask logits `[256, 512, 128]` are made of drawn street scenes, one slot a segment, and
softened as a network's are; networks that are more and less sure, and noise alone.
Prints the least processor time of the one thread, so that what else runs counts little,
and how far pixels and scores are from those of enlarging every logit.

Measured on an AMD EPYC server (AVX512): 64 ms mask-wise and 60 ms pixel-wise where the
network is sure, 77 and 61 ms where it is less so. Where it is unsure, with noise from
place to place, hardly a cell can be left out mask-wise: 430 ms, and of noise alone
pixel-wise: 680 ms. All pixels are claimed as by enlarging every logit; mean
probabilities, which sort slots and are in scores, are off by 0.036 at most.
"""

import argparse
import os
import pathlib
import sys
import time

# One core: NumPy's threads are counted when it is imported.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import numpy as np

from official.data import synthetic
from official.tasks import enlarged_slots, panoptic_merging

SMALL, LARGE, SLOTS, CLASSES = (256, 512), (1024, 2048), 128, 19
THINGS = tuple(range(11, 19))

NETWORKS = {"sure": 14.0, "less sure": 9.0, "unsure": 6.0, "noise alone": 0.0}
"""How far the logit of the right slot is above the others', whose deviation is 1."""

MERGINGS = {
    "mask-wise": panoptic_merging.CITYSCAPES,
    "mask-wise, by mean": panoptic_merging.COCO,
    "pixel-wise": panoptic_merging.PixelWise(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"{'network':<12} {'merge':<20} {'time':>8} {'segments':>9}")
    for network, gain in NETWORKS.items():
        masks, classes = drawn(gain)
        for name, merging in MERGINGS.items():
            seconds, found = timed(merging, masks, classes, repeats)
            print(
                f"{network:<12} {name:<20} {1000 * seconds:5.0f} ms {len(found.ids):>9}"
            )
        off, means = against_plain(masks, panoptic_merging.COCO.pixel_threshold)
        print(
            f"{'':<12} pixels claimed otherwise than by enlarging all: {off:.1e} of "
            f"them; mean probabilities off by {means:.1e} at most"
        )


def timed(
    merging: panoptic_merging.Merging,
    masks: np.ndarray,
    classes: np.ndarray,
    repeats: int,
) -> tuple[float, panoptic_merging.Segments]:
    """The least processor time in seconds, and what was found."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        found = merging(masks, classes, size=LARGE, thing_ids=THINGS)
        best = min(best, time.process_time() - start)
    return best, found


def drawn(gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Mask and class logits of a scene, a slot for each segment."""
    streets = synthetic.SyntheticStreets(height=SMALL[0], width=SMALL[1])
    example = streets.read(("val", 3))
    pairs = example["semantic"].astype(np.int64) * 1000 + example["instance"]
    ids, place = np.unique(pairs, return_inverse=True)
    generator = np.random.default_rng(0)
    masks = generator.normal(size=(*SMALL, SLOTS)).astype(np.float32)
    for slot in range(min(len(ids), SLOTS)):
        masks[..., slot] += gain * softened(place.reshape(SMALL) == slot)
    classes = generator.normal(size=(SLOTS, CLASSES + 1)).astype(np.float32)
    classes[:, -1] += 8
    for slot, segment in enumerate(ids[:SLOTS]):
        classes[slot] = generator.normal(size=CLASSES + 1)
        classes[slot, min(segment // 1000, CLASSES)] += 8
    return masks, classes


def softened(mask: np.ndarray) -> np.ndarray:
    """Edges that rise over five places."""
    values = np.pad(mask.astype(np.float32), 2, mode="edge")
    for axis in (0, 1):
        for _ in range(2):
            high, low, middle = (
                values.take(np.arange(start, values.shape[axis] - 2 + start), axis)
                for start in range(3)
            )
            values = (high + low + middle) / 3
    return values


def against_plain(masks: np.ndarray, threshold: float) -> tuple[float, float]:
    """Share of pixels whose first slot differs; largest error of a mean probability."""
    found = enlarged_slots.claims(masks, LARGE, threshold=threshold)
    step = LARGE[0] // SMALL[0]
    differing, areas, sums = 0, np.zeros(SLOTS), np.zeros(SLOTS)
    place = np.clip((np.arange(LARGE[0]) + 0.5) / step - 0.5, 0, SMALL[0] - 1)
    across = np.clip((np.arange(LARGE[1]) + 0.5) / step - 0.5, 0, SMALL[1] - 1)
    left = np.floor(across).astype(int)
    right = np.minimum(left + 1, SMALL[1] - 1)
    share = (across - left).astype(np.float32)[:, None]
    for row, y in enumerate(place):
        top = int(y)
        bottom = min(top + 1, SMALL[0] - 1)
        line = masks[top] + np.float32(y - top) * (masks[bottom] - masks[top])
        line = line[left] * (1 - share) + line[right] * share
        powers = np.exp(line - line.max(axis=-1, keepdims=True))
        chances = powers / powers.sum(axis=-1, keepdims=True)
        first = np.where(chances.max(-1) > threshold, chances.argmax(-1), -1)
        differing += int((first != found.first[row]).sum())
        above = chances > threshold
        areas += above.sum(axis=0)
        sums += (chances * above).sum(axis=0, dtype=np.float64)
    means = sums / np.maximum(areas, 1)
    return differing / (LARGE[0] * LARGE[1]), float(np.abs(means - found.means).max())


if __name__ == "__main__":
    main()
