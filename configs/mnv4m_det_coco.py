r"""MobileNetV4-Conv-Medium with SSDLite on COCO.

    python train.py --experiment=mnv4m_det_coco --set "dataset.data_dir = '/data/coco'"

The paper (https://arxiv.org/abs/2404.10518) has a RetinaNet instead; of SSDLite on this
backbone nothing is published. Optimizer, schedule and augmentation are those of
`mnv3_det_coco`. Not yet run at this scale.
"""

import dataclasses

from configs import mnv3_det_coco
from official.backbones.mobilenet_v4 import MobileNetV4
from official.experiment import Experiment


def experiment() -> Experiment:
    parent = mnv3_det_coco.experiment()
    backbone = MobileNetV4(variant="conv_medium", norm=mnv3_det_coco.NORM)
    return dataclasses.replace(
        parent, task=dataclasses.replace(parent.task, backbone=backbone)
    )
