r"""MobileNetV3-Small with SSDLite on COCO.

    python train.py --experiment=mnv3small_det_coco --set "dataset.data_dir = 'coco'"

As `mnv3_det_coco`, for twice as many steps, as the Object Detection API trains
`ssd_mobilenet_v3_small_320x320_coco` (AP 15.4 by its authors; 16.1 in the paper's Table
6). Not yet run at this scale.
"""

import dataclasses

from configs import mnv3_det_coco
from official.backbones.mobilenet_v3 import MobileNetV3
from official.experiment import Experiment


def experiment() -> Experiment:
    parent = mnv3_det_coco.experiment()
    backbone = MobileNetV3(
        variant="small", reduced_tail="outputs", norm=mnv3_det_coco.NORM
    )
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(parent.task, backbone=backbone),
        trainer=dataclasses.replace(parent.trainer, epochs=2 * parent.trainer.epochs),
    )
