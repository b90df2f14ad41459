"""COCO's photographs with its panoptic files: read, learned, written, judged."""

import collections
import dataclasses
import json
import logging
import math
import warnings

import numpy as np
import pytest
import small
from PIL import Image

from official import runner
from official.data import pipeline
from official.data.coco_panoptic import COCOPanoptic
from official.export_spec import Export
from official.heads.panoptic_deeplab import Decoder, PanopticDeepLab
from official.metrics.panoptic import PanopticMetrics
from official.ops import panoptic
from official.optim.optimizers import SGD
from official.optim.schedules import Constant
from official.report import records
from official.tasks.center_grouping import CenterGrouping
from official.tasks.center_offsets import CenterOffsets
from official.tasks.panoptic import Panoptic


@pytest.fixture
def dataset(shared):
    return COCOPanoptic(data_dir=str(shared / "data/coco128"))


def _numbers(path):
    red, green, blue = np.moveaxis(np.array(Image.open(path), np.int64), -1, 0)
    return red + 256 * green + 65536 * blue


def _pairs(one, other):
    """Pixels by pair of numbers."""
    pairs, counts = np.unique(one << 24 | other, return_counts=True)
    keys = zip((pairs >> 24).tolist(), (pairs & 2**24 - 1).tolist(), strict=True)
    return dict(zip(keys, counts.tolist(), strict=True))


def _quality(truths, found, *, true_maps, maps):
    """PQ by category as cocodataset/panopticapi's evaluation.py counts it.

    Nothing of this project is used: the files are read with Pillow and json.
    """
    tp, fp, fn, iou = (collections.Counter() for _ in range(4))
    by_image = {row["image_id"]: row for row in found}
    for truth in truths:
        row = by_image[truth["image_id"]]
        true_map = _numbers(true_maps / truth["file_name"])
        map_ = _numbers(maps / row["file_name"])
        shared = _pairs(true_map, map_)
        true_areas = dict(zip(*np.unique(true_map, return_counts=True), strict=True))
        areas = dict(zip(*np.unique(map_, return_counts=True), strict=True))
        ours = {s["id"]: s for s in truth["segments_info"] if s["id"] in true_areas}
        theirs = {s["id"]: s for s in row["segments_info"]}
        assert theirs.keys() == areas.keys() - {0}
        assert all(s["area"] == areas[number] for number, s in theirs.items())
        matched = set()
        for (mine, other), count in shared.items():
            if mine not in ours or other not in theirs or ours[mine]["iscrowd"]:
                continue
            if ours[mine]["category_id"] != theirs[other]["category_id"]:
                continue
            union = true_areas[mine] + areas[other] - count
            share = count / (union - shared.get((0, other), 0))
            if share > 0.5:
                tp[ours[mine]["category_id"]] += 1
                iou[ours[mine]["category_id"]] += share
                matched |= {("truth", mine), ("found", other)}
        crowds = {s["category_id"]: n for n, s in ours.items() if s["iscrowd"]}
        for number, segment in ours.items():
            if ("truth", number) not in matched and not segment["iscrowd"]:
                fn[segment["category_id"]] += 1
        for number, segment in theirs.items():
            crowd = crowds.get(segment["category_id"])
            excused = shared.get((0, number), 0) + shared.get((crowd, number), 0)
            if ("found", number) not in matched and excused <= areas[number] / 2:
                fp[segment["category_id"]] += 1
    return {
        category: iou[category] / (tp[category] + (fp[category] + fn[category]) / 2)
        for category in tp.keys() | fp.keys() | fn.keys()
    }


def _disturbed(truth, generator):
    """A prediction that has much right: moved, things joined, classes swapped."""
    found = np.roll(truth, generator.integers(-20, 21, 2), axis=(0, 1))
    for segment in np.unique(found).tolist():
        class_id, instance = divmod(segment, panoptic.LABEL_DIVISOR)
        if segment == panoptic.VOID or generator.random() < 0.5:
            continue
        new = generator.choice([class_id * panoptic.LABEL_DIVISOR + 1, panoptic.VOID])
        if instance == 0:
            new = panoptic.VOID
        found = np.where(found == segment, new, found)
    # A crowd is predicted as one thing.
    crowd = (found % panoptic.LABEL_DIVISOR == 0) & (
        found // panoptic.LABEL_DIVISOR < 80
    )
    return (found + crowd).astype(np.int32)


def test_the_files_that_are_written_have_the_quality_that_is_printed(
    dataset, shared, tmp_path
):
    annotations = shared / "data/coco128/annotations"
    content = json.loads((annotations / "panoptic_val.json").read_text())
    metric = PanopticMetrics(
        class_names=dataset.class_names, thing_ids=dataset.thing_ids
    )
    generator = np.random.default_rng(0)
    for example in dataset.load("val").as_numpy_iterator():
        maps = example["semantic"], example["instance"]
        found = _disturbed(panoptic.encode(*maps, ignore_label=255), generator)
        ids = np.setdiff1d(found, [panoptic.VOID])
        metric.update_state(
            {
                "semantic": maps[0][None],
                "instance": maps[1][None],
                "size": np.array([maps[0].shape]),
                "image_id": np.array([example["image_id"]]),
            },
            {
                "panoptic": found[None],
                "segment_ids": ids[None],
                "segment_scores": np.ones((1, len(ids))),
            },
        )
    records.write(
        tmp_path,
        metric.records(),
        image_numbers=dataset.image_numbers("val"),
        category_ids=dataset.category_ids("val"),
    )
    written = json.loads((tmp_path / records.FILE).read_text())
    qualities = _quality(
        content["annotations"],
        written["annotations"],
        true_maps=annotations / "panoptic_val",
        maps=tmp_path / records.MAPS,
    )
    names = {row["id"]: row for row in content["categories"]}
    printed = metric.result()
    for category, quality in qualities.items():
        assert printed[f"pq/{names[category]['name']}"] == pytest.approx(quality)
    things = [q for c, q in qualities.items() if names[c]["isthing"]]
    assert printed["pq"] == pytest.approx(np.mean(list(qualities.values())))
    assert printed["pq_things"] == pytest.approx(np.mean(things))
    assert 0.2 < printed["pq"] < 0.8


def test_a_run_warns_of_nothing(dataset, tmp_path, caplog):
    widths = Decoder(pyramid=8, low_levels=(4,), fused=8)
    task = Panoptic(
        backbone=small.TwoConvolutions(),
        head=PanopticDeepLab(
            high_level="C2",
            low_levels=("C2",),
            rates=(2,),
            semantic=widths,
            instance=widths,
            semantic_width=8,
            instance_width=8,
        ),
        # Whatever the weights are, there are centers, and stuff of any size.
        method=CenterOffsets(
            merging=CenterGrouping(min_stuff_area=0, threshold=-math.inf)
        ),
        image_size=(64, 64),
    )
    experiment = dataclasses.replace(
        small.experiment(epochs=1),
        task=task,
        optimizer=SGD(schedule=Constant(learning_rate=1e-5)),
        dataset=dataset,
        train=pipeline.Input(split="train", batch_size=2, limit=4),
        eval=pipeline.Input(split="val", batch_size=2, limit=2),
        export=Export(output="masks"),
    )
    flags = {"overwrite": False, "evaluate_only": False, "dry_run": False}
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        # Keras's own, of NumPy 2: keras/src/backend/tensorflow/core.py.
        warnings.filterwarnings("ignore", "__array__ implementation")
        runner.run(experiment, name="small", run_dir=tmp_path / "run", **flags)
    # TensorFlow counts retraced functions over the whole process and warns of the
    # fifth, which the few steps here cannot be: it would speak of other tests.
    messages = [record.getMessage() for record in caplog.records]
    assert not [line for line in messages if "tf.function retracing" not in line]
    written = json.loads((tmp_path / "run" / records.FILE).read_text())
    assert len(written["annotations"]) == 2
    assert any(row["segments_info"] for row in written["annotations"])
