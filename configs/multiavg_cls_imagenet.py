"""MobileNet-MultiAVG on ImageNet.

python train.py --experiment=multiavg_cls_imagenet --set "dataset.data_dir = '/data'"

Recipe: TensorFlow Model Garden's `imagenet_mobilenetv3.5_avg_tpu.yaml`, which is
MobileNetV2's (75.27 % top-1 by its authors; the norm settings there stand in the wrong
section, so that its trainer refuses them: taken here as meant). How to prepare the
data, and what differs: see `mnv2_cls_imagenet`. Not yet run at this scale.
"""

import dataclasses

from configs import mnv2_cls_imagenet
from official.backbones.multi_hardware import MultiHardware
from official.experiment import Experiment


def experiment() -> Experiment:
    parent = mnv2_cls_imagenet.experiment()
    backbone = MultiHardware(variant="avg", norm=mnv2_cls_imagenet.NORM)
    return dataclasses.replace(
        parent, task=dataclasses.replace(parent.task, backbone=backbone)
    )
