"""MobileNetV1 on ImageNet.

python train.py --experiment=mnv1_cls_imagenet --set "dataset.data_dir = '/data'"

Recipe: TensorFlow Model Garden's `imagenet_mobilenetv1_tpu.yaml`, which is
MobileNetV2's with a decay of 0.94 (72.33 % top-1 by its authors). How to prepare the
data, and what differs: see `mnv2_cls_imagenet`. Not yet run at this scale.
"""

import dataclasses

from configs import mnv2_cls_imagenet
from official.backbones.mobilenet_v1 import MobileNetV1
from official.experiment import Experiment
from official.optim.schedules import ExponentialSteps


def experiment() -> Experiment:
    parent = mnv2_cls_imagenet.experiment()
    backbone = MobileNetV1(norm=mnv2_cls_imagenet.NORM)
    schedule = ExponentialSteps(
        learning_rate=0.256, factor=0.94, every_epochs=2.5, warmup_epochs=5
    )
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(parent.task, backbone=backbone),
        optimizer=dataclasses.replace(parent.optimizer, schedule=schedule),
    )
