"""MobileNetV3-Large with LR-ASPP on anyone's images and masks.

    python train.py --experiment=mnv3_seg_folder --set "dataset.data_dir = 'my_photos'"

Wants `my_photos/images/`, `my_photos/masks/` (PNG, same names) and a list of classes;
see `official/data/mask_folder.py`.
"""

import dataclasses

from configs import mnv3small_seg_camvid
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.mask_folder import MaskFolder
from official.experiment import Experiment


def experiment() -> Experiment:
    parent = mnv3small_seg_camvid.experiment()
    norm = mnv3small_seg_camvid.NORM
    task = dataclasses.replace(
        parent.task,
        backbone=MobileNetV3(variant="large", output_stride=16, norm=norm),
        image_size=(384, 512),
        crop_size=None,
        class_weights=None,
    )
    return dataclasses.replace(parent, task=task, dataset=MaskFolder(data_dir="data"))
