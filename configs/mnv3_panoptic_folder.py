r"""MobileNetV3-Large with a mask transformer on anyone's own maps.

    python train.py --experiment=mnv3_panoptic_folder \
        --set "dataset.data_dir = 'my_photos'"

wants `my_photos/images/{train,val}/*.jpg`, class ids in `labels/`, numbers of things in
`instances/` and `classes.json` with the names and which are things: see
`official/data/panoptic_folder.py`. COCO's form needs no conversion:

    --set "dataset = @COCOPanoptic(data_dir = 'my_photos')"

With a few hundred images start from ImageNet weights, as
`mnv3small_panoptic_pennfudan` tells.
"""

import dataclasses

from configs import mnv3small_panoptic_pennfudan
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.panoptic_folder import PanopticFolder
from official.experiment import Experiment
from official.tasks.mask_slots import MaskSlots
from official.tasks.panoptic_merging import MaskWise
from official.training.fine_tuning import FineTuning


def experiment() -> Experiment:
    parent = mnv3small_panoptic_pennfudan.experiment()
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(
            parent.task,
            backbone=MobileNetV3(variant="large"),
            head=dataclasses.replace(parent.task.head, slots=64),
            method=MaskSlots(
                max_segments=48,
                samples=512,
                merging=MaskWise(
                    thing_threshold=0.5,
                    stuff_threshold=0.3,
                    overlap_threshold=0.7,
                    min_thing_area=64,
                ),
            ),
            image_size=(320, 320),
            judged_by="pq",
        ),
        dataset=PanopticFolder(data_dir="data"),
        fine_tuning=FineTuning(),  # the command above starts from nothing
    )
