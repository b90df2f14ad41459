r"""MobileNetV2 with R-ASPP on Cityscapes.

    python train.py --experiment=mnv2_raspp_cityscapes \
        --set "dataset.data_dir = '/data/cityscapes'"

The network is that of the MobileNetV3 paper's Table 7, first row (72.84 % mean IoU
there, as recalled from the paper); data, schedule and augmentation are those of
`mnv3_seg_cityscapes`.
"""

import dataclasses

from configs import mnv3_seg_cityscapes
from official.backbones.mobilenet_v2 import MobileNetV2
from official.experiment import Experiment
from official.heads.raspp import RASPP


def experiment() -> Experiment:
    parent = mnv3_seg_cityscapes.experiment()
    backbone, head = MobileNetV2(output_stride=16), RASPP(level="C5_project")
    task = dataclasses.replace(parent.task, backbone=backbone, head=head)
    return dataclasses.replace(parent, task=task)
