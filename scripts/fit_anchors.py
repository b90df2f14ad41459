"""Fits a detector's anchors to the boxes of a dataset.

    python scripts/fit_anchors.py --experiment=mnv2_det_folder
    python scripts/fit_anchors.py --experiment=mnv2_det_folder --shapes=9 \\
        --set "dataset.data_dir = '/data/photos'"

Finds shapes by k-means over the training split, where the distance of two boxes is one
less their intersection over union (Redmon & Farhadi, 2016,
https://arxiv.org/abs/1612.08242, section 2), and gives each to the level of the head
whose stride suits its size. Prints how well the boxes are covered before and after, and
the binding to use. Objects alone count: neither crowds nor difficult ones. Shapes are
shares of the images' sides, as if images were stretched to the input; what augmentation
does to them is not known here.
"""

import argparse
import math
import pathlib
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import numpy as np

from official import failures
from official.data import base as data_base
from official.data import boxed
from official.ops import box_kinds
from tflite_export import command_line, quiet

if TYPE_CHECKING:
    from official.heads import base as heads_base

EXAMPLES = """\
examples:
  python scripts/fit_anchors.py --experiment=mnv2_det_folder
  python scripts/fit_anchors.py --experiment=mnv2_det_folder --shapes=9 \\
      --set "dataset.data_dir = '/data/photos'"
"""

SIDE_BY_STRIDE = 4.0
"""Of a square that suits a level, as in SSD's finest levels and in FPN's."""

RESTARTS = 5
ROUNDS = 100
_CHUNK = 256

# N boxes, K shapes, A anchors; a shape is height and width


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command_line.parser(
        "scripts/fit_anchors.py", __doc__.split("\n")[0], epilog=EXAMPLES
    )
    parser.add_argument("--experiment", metavar="NAME", required=True)
    repeated = {"action": "append", "default": []}
    parser.add_argument("--overlay", metavar="FILE", help="of bindings", **repeated)
    parser.add_argument("--set", metavar="BINDING", help="one binding", **repeated)
    parser.add_argument(
        "--shapes", metavar="N", type=int, default=12, help="number of shapes (12)"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    given = parser.parse_args(arguments)
    return command_line.run(lambda: run(given), debug=given.debug)


def run(given: argparse.Namespace) -> None:
    # Imported here: TensorFlow takes seconds to load, and --help should not.
    if not given.debug:
        quiet.import_tensorflow()
    from official import experiment as experiment_lib
    from official.heads import base as heads_base

    experiment = experiment_lib.load(given.experiment, given.overlay, given.set)
    head = getattr(experiment.task, "head", None)
    if not isinstance(head, heads_base.DetectionHead):
        raise failures.RequestError(
            f"{given.experiment} detects nothing: anchors are fitted to the head of a "
            "detector"
        )
    boxes = boxes_of(experiment.dataset, experiment.train.split)
    report(boxes, head, experiment.task.image_size, count=given.shapes)


def report(
    boxes: np.ndarray,
    head: "heads_base.DetectionHead",
    image_size: tuple[int, int],
    *,
    count: int,
) -> None:
    """Fits and prints.

    Args:
        boxes: `[N, 4]` in shares.
        count: Number of shapes.

    Raises:
        RequestError: If there are fewer boxes of different shape than that.
    """
    from official.heads import anchors as anchor_kinds

    shapes = fit(boxes[:, 2:] - boxes[:, :2], count)
    levels = assign(shapes, head.strides, image_size)
    fitted = anchor_kinds.FittedAnchors(shapes=levels)
    print(f"{len(boxes)} boxes, {image_size[0]} x {image_size[1]} pixels")
    for name, anchors in (
        (type(head.anchors).__name__, head.anchor_boxes(image_size)),
        ("fitted", fitted.boxes(head.strides, image_size)),
    ):
        best = best_overlaps(boxes, anchors)
        print(
            f"{name}: {len(anchors)} anchors, mean best IoU {best.mean():.3f}, "
            f"{np.mean(best >= 0.5):.1%} of the boxes at 0.5 or more"
        )
    for stride, level in zip(head.strides, levels, strict=True):
        sides = (f"{h * image_size[0]:.0f}x{w * image_size[1]:.0f}" for h, w in level)
        print(f"  stride {stride}: {', '.join(sides)} pixels")
    print(f"\ntask.head.anchors = @FittedAnchors(shapes={levels!r})")


def boxes_of(dataset: data_base.Dataset, split: str) -> np.ndarray:
    """The objects of a split, `[N, 4]` in shares of their images.

    Raises:
        DataError: If there are none, or the dataset has no boxes.
    """
    found = [np.zeros((0, 4))]
    for size, boxes, kinds in _annotated(dataset, split):
        objects = boxes[kinds == box_kinds.OBJECT]
        found.append(objects / np.array([*size, *size], "float32"))
    every = np.concatenate(found)
    if not len(every):
        raise failures.DataError(f"no object is in the split {split!r}")
    return every


def _annotated(
    dataset: data_base.Dataset, split: str
) -> Iterable[tuple[tuple[int, ...], np.ndarray, np.ndarray]]:
    """Size, boxes in pixels and their kinds of each image, decoded where need be."""
    if isinstance(dataset, boxed.BoxedDataset):
        for image in dataset.upright_objects(split):
            yield image.size, image.objects.boxes, image.objects.kinds
        return
    for example in dataset.load(split).as_numpy_iterator():
        if "boxes" not in example:
            raise failures.DataError(
                f"{type(dataset).__name__} has no boxes: its examples have "
                + ", ".join(sorted(example))
            )
        yield example["image"].shape[:2], example["boxes"], example["box_kinds"]


def fit(shapes: np.ndarray, count: int, *, seed: int = 0) -> np.ndarray:
    """The best of several runs of k-means, `[K, 2]` by ascending area.

    Args:
        shapes: `[N, 2]`.

    Raises:
        RequestError: If fewer than `count` of them differ.
    """
    different = np.unique(shapes, axis=0)
    if not 0 < count <= len(different):
        raise failures.RequestError(
            f"--shapes={count}: must be from 1 to {len(different)}, the number of "
            "boxes that differ in shape"
        )
    generator = np.random.default_rng(seed)
    runs = [_k_means(shapes, different, count, generator) for _ in range(RESTARTS)]
    best = max(runs, key=lambda centres: shape_iou(shapes, centres).max(1).mean())
    return best[np.argsort(best.prod(axis=1))]


def _k_means(
    shapes: np.ndarray,
    different: np.ndarray,
    count: int,
    generator: np.random.Generator,
) -> np.ndarray:
    centres = different[generator.choice(len(different), count, replace=False)]
    owners = np.full(len(shapes), -1)
    for _ in range(ROUNDS):
        nearest = shape_iou(shapes, centres).argmax(axis=1)
        if (nearest == owners).all():
            break
        owners = nearest
        members = (shapes[owners == number] for number in range(count))
        # The median: a few huge boxes would draw a mean away from the many.
        centres = np.array(
            [
                np.median(own, axis=0) if len(own) else centre
                for own, centre in zip(members, centres, strict=True)
            ]
        )
    return centres


def shape_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union `[N, K]` of shapes around one centre."""
    common = np.minimum(a[:, None], b[None]).prod(axis=-1)
    return common / (a.prod(axis=-1)[:, None] + b.prod(axis=-1)[None] - common)


def assign(
    shapes: np.ndarray, strides: Sequence[int], image_size: tuple[int, int]
) -> tuple[tuple[tuple[float, float], ...], ...]:
    """The shapes of each level: those whose side is nearest to four strides.

    A level that none suits keeps one square of that side, at most as large as the
    image.
    """
    sides = np.sqrt(shapes.prod(axis=1) * math.prod(image_size))
    distances = np.abs(
        np.log2(sides)[:, None] - np.log2(SIDE_BY_STRIDE * np.array(strides))
    )
    owners = distances.argmin(axis=1)
    levels = []
    for number, stride in enumerate(strides):
        own = shapes[owners == number]
        if not len(own):
            own = np.minimum(SIDE_BY_STRIDE * stride / np.array([image_size]), 1.0)
        levels.append(tuple((round(float(h), 4), round(float(w), 4)) for h, w in own))
    return tuple(levels)


def best_overlaps(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Of each box with the anchors where they lie, `[N]`."""
    best = []
    for start in range(0, len(boxes), _CHUNK):
        some = boxes[start : start + _CHUNK, None]
        lower = np.maximum(some[..., :2], anchors[..., :2])
        upper = np.minimum(some[..., 2:], anchors[..., 2:])
        common = np.maximum(upper - lower, 0).prod(axis=-1)
        areas = [(b[..., 2:] - b[..., :2]).prod(axis=-1) for b in (some, anchors)]
        best.append((common / (areas[0] + areas[1] - common)).max(axis=1))
    return np.concatenate(best)


if __name__ == "__main__":
    failures.leave(main())
