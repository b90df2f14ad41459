"""MobileNetV3-Large on ImageNet.

python train.py --experiment=mnv3_cls_imagenet --set "dataset.data_dir = '/data'"

Recipe: TensorFlow Model Garden's `imagenet_mobilenetv3large_tpu.yaml` (batch 4096,
AdamW, cosine, 218,000 steps, AutoAugment with translations of 250 pixels, here of the
paper's 150 in 331; about 75.7 % top-1 by its authors). How to prepare the data, and
what differs: see `mnv2_cls_imagenet`. Not yet run at this scale.
"""

import dataclasses

from configs import mnv2_cls_imagenet
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.augmentation.auto_augment import AutoAugment
from official.experiment import Experiment
from official.optim.optimizers import AdamW
from official.optim.schedules import Cosine
from official.training.trainer import Trainer


def experiment() -> Experiment:
    parent = mnv2_cls_imagenet.experiment()
    task = dataclasses.replace(
        parent.task,
        backbone=MobileNetV3(variant="large", norm=mnv2_cls_imagenet.NORM),
        augmentations=(AutoAugment(),),
    )
    return dataclasses.replace(
        parent,
        task=task,
        optimizer=AdamW(
            schedule=Cosine(learning_rate=0.004, warmup_epochs=5), weight_decay=0.1
        ),
        trainer=Trainer(epochs=700),
    )
