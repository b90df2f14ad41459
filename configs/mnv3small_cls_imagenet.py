"""MobileNetV3-Small on ImageNet.

python train.py --experiment=mnv3small_cls_imagenet --set "dataset.data_dir = '/data'"

Recipe: TensorFlow Model Garden's `imagenet_mobilenetv3small_tpu.yaml` (batch 4096,
RMSProp, 0.01 falling by 0.99 every 3 epochs, moving average of the weights, there with
the norm statistics, here without; 67.5 % top-1 by its authors). How to prepare the
data, and what differs: see `mnv2_cls_imagenet`. Not yet run at this scale.
"""

import dataclasses

from configs import mnv2_cls_imagenet
from official.backbones.mobilenet_v3 import MobileNetV3
from official.experiment import Experiment
from official.optim.optimizers import RMSProp
from official.optim.schedules import ExponentialSteps
from official.training.trainer import Trainer


def experiment() -> Experiment:
    parent = mnv2_cls_imagenet.experiment()
    backbone = MobileNetV3(variant="small", norm=mnv2_cls_imagenet.NORM)
    schedule = ExponentialSteps(
        learning_rate=0.01,
        factor=0.99,
        every_epochs=3,
        warmup_epochs=5,
        warmup_start=0.001,
    )
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(parent.task, backbone=backbone),
        optimizer=RMSProp(schedule=schedule, l2=1e-5, ema_decay=0.9999),
        trainer=Trainer(epochs=1000),
    )
