"""What panoptic quality one and the same map gets for all images of a data set.

    python scripts/constant_panoptic.py --experiment=NAME [--set BINDING ...]

The map that has at each pixel the class that is the commonest there over the evaluation
images, each class one segment: a harder constant than a single class for all pixels,
which runs print. All images have to be of one size. The last line is JSON.
"""

import argparse
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--set", action="append", default=[], metavar="BINDING")
    given = parser.parse_args()

    from tflite_export import quiet

    quiet.import_tensorflow()
    import numpy as np

    from official import experiment as experiment_lib
    from official.data import pipeline
    from official.metrics import panoptic as metrics_lib
    from official.ops import panoptic as panoptic_ids

    experiment = experiment_lib.load(given.experiment, settings=given.set)
    dataset = experiment.dataset
    count = experiment.eval.count(dataset)
    examples = list(pipeline.picked(dataset, experiment.eval, count))
    maps = [example["semantic"] for example in examples]
    if len({each.shape for each in maps}) > 1:
        sys.exit("the images have several sizes: one map does not fit all of them")
    votes = np.stack([sum(m == c for m in maps) for c in range(dataset.num_classes)])
    classes = votes.argmax(axis=0)
    things = np.isin(classes, dataset.thing_ids)
    found = (classes * panoptic_ids.LABEL_DIVISOR + things).astype(np.int32)
    found[votes.max(axis=0) == 0] = panoptic_ids.VOID
    ids = np.setdiff1d(found, [panoptic_ids.VOID])
    prediction = {
        "panoptic": found[None],
        "segment_ids": ids[None],
        "segment_scores": np.ones((1, len(ids)), np.float32),
    }
    judge = metrics_lib.PanopticMetrics(
        class_names=dataset.class_names, thing_ids=dataset.thing_ids
    )
    for example in examples:
        truth = {name: example[name][None] for name in ("semantic", "instance")}
        truth["size"] = np.array([example["semantic"].shape])
        judge.update_state(truth, prediction)
    result = judge.result()
    shown = {
        name: 100 * float(result[name])
        for name in ("pq", "pq_things", "pq_stuff", "mean_iou")
    }
    for name, value in shown.items():
        print(f"{name:10} {value:6.2f} %")
    print(json.dumps(shown))


if __name__ == "__main__":
    main()
