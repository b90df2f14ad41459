"""Persons that touch: the segments of a panoptic run against connected components.

    python scripts/compare_components.py --run_dir=RUN [--limit=N]

Both are of one network: its segments, and the classes that its auxiliary semantic head
gives each pixel, the things among them cut into connected components, so that those
that touch become one. What is smaller than the least areas of the run's merging is void
in both. Prints panoptic quality of both over the evaluation images, and over those
where two things of one class touch in the truth. The last line is JSON. Wants scipy.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def components(logits: Any, task: Any, size: Any, things: Any) -> dict[str, Any]:
    """Predictions of one image from semantic logits `[h, w, C]`."""
    import keras
    import numpy as np
    from scipy import ndimage

    from official.ops import panoptic as panoptic_ids

    enlarged = keras.ops.image.resize(logits, size, interpolation="bilinear")
    classes = np.asarray(enlarged).argmax(axis=-1)
    found = classes * panoptic_ids.LABEL_DIVISOR
    for thing in things:
        # The four neighbours of a pixel, as in `touches`.
        numbers, _ = ndimage.label(classes == thing)
        # What is beyond the room for instances is surely below the least area.
        order = np.argsort(-np.bincount(numbers.ravel())[1:])
        rank = np.zeros(numbers.max() + 1, int)
        rank[1 + order] = np.minimum(
            np.arange(len(order)) + 1, panoptic_ids.LABEL_DIVISOR - 1
        )
        found += np.where(numbers > 0, rank[numbers], 0)
    merging, (height, width) = task.method.merging, task.input_size(training=False)
    scale = size[0] * size[1] / (height * width)
    found = panoptic_ids.without_small(
        found.astype(np.int32),
        thing_ids=things,
        min_thing_area=scale * merging.min_thing_area,
        min_stuff_area=scale * merging.min_stuff_area,
    )
    ids = np.unique(found)
    ids = ids[ids != panoptic_ids.VOID]
    return {
        "panoptic": found[None],
        "segment_ids": ids[None].astype(np.int32),
        "segment_scores": np.ones((1, len(ids)), np.float32),
    }


def touches(semantic: Any, instance: Any, thing_ids: tuple[int, ...]) -> bool:
    """Whether two things of one class are neighbours."""
    import numpy as np

    for first, second in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1, :], np.s_[1:, :]),
    ):
        same = semantic[first] == semantic[second]
        apart = instance[first] != instance[second]
        things = (instance[first] > 0) & (instance[second] > 0)
        if (same & apart & things & np.isin(semantic[first], thing_ids)).any():
            return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run_dir", type=pathlib.Path, required=True)
    parser.add_argument("--limit", type=int, help="of the evaluation images")
    given = parser.parse_args()

    from tflite_export import quiet

    quiet.import_tensorflow()
    import numpy as np

    from official import experiment as experiment_lib
    from official.training import checkpoints
    from tflite_export import examples

    _, experiment = experiment_lib.load_run(given.run_dir)
    task, names = experiment.task, experiment.dataset.class_names
    # In the form that is trained, which has the semantic head.
    whole_image = dataclasses.replace(task, crop_size=None)
    network = whole_image.build(num_classes=len(names), training=True)
    file = checkpoints.path(given.run_dir, "best")
    checkpoints.assign(
        network.weights, checkpoints.inference_weights(file), source=file
    )
    judges = {
        (kind, where): task.metrics(names)["panoptic"]
        for kind in ("segments", "components")
        for where in ("all", "touching")
    }
    seen = {"all": 0, "touching": 0}
    for images, targets in examples.evaluation_batches(experiment):
        outputs = network.predict_on_batch(np.asarray(images))
        batch = {name: np.asarray(value) for name, value in targets.items()}
        whole = task.postprocess(outputs, batch)
        for row, (height, width) in enumerate(batch["size"].tolist()):
            truth = {name: value[row : row + 1] for name, value in batch.items()}
            things = tuple(batch["thing_ids"][row].tolist())
            window = (row, slice(height), slice(width))
            semantic = outputs["semantic_logits"][row]
            predictions = {
                "segments": {k: v[row : row + 1] for k, v in whole.items()},
                "components": components(semantic, task, (height, width), things),
            }
            predictions["segments"]["panoptic"] = whole["panoptic"][window][None]
            places = ["all"]
            if touches(truth["semantic"][0], truth["instance"][0], things):
                places.append("touching")
            for where in places:
                seen[where] += 1
                for kind, prediction in predictions.items():
                    judges[kind, where].update_state(truth, prediction)
        if given.limit and seen["all"] >= given.limit:
            break
    print("| images | number | made of | PQ | PQ of things | PQ of stuff |")
    print("|---|---|---|---|---|---|")
    found = {}
    for (kind, where), judge in judges.items():
        result = {k: float(v) for k, v in judge.result().items()}
        figures = [100 * result[k] for k in ("pq", "pq_things", "pq_stuff")]
        found[f"{where}/{kind}"] = figures
        print(
            f"| {where} | {seen[where]} | {kind} | "
            + " | ".join(f"{figure:.2f}" for figure in figures)
            + " |"
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
