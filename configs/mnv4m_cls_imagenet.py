"""MobileNetV4-Conv-Medium on ImageNet.

python train.py --experiment=mnv4m_cls_imagenet --set "dataset.data_dir = '/data'"

Recipe: TensorFlow Model Garden's `imagenet_mobilenetv4_conv_medium_tpu.yaml` (256x256,
batch 4096, AdamW, cosine, 156,000 steps, RandAugment without Cutout, stochastic depth
0.075; 79.9 % top-1 by its authors). How to prepare the data, and what differs: see
`mnv2_cls_imagenet`. Not yet run at this scale.
"""

import dataclasses

from configs import mnv2_cls_imagenet
from official.backbones.mobilenet_v4 import MobileNetV4
from official.data.augmentation.rand_augment import RandAugment
from official.experiment import Experiment
from official.optim.optimizers import AdamW
from official.optim.schedules import Cosine

BACKBONE = MobileNetV4(
    variant="conv_medium", stochastic_depth=0.075, norm=mnv2_cls_imagenet.NORM
)


def experiment() -> Experiment:
    parent = mnv2_cls_imagenet.experiment()
    augment = RandAugment(
        magnitude=15,
        probability=0.7,
        scale="model_garden",
        translate=10 / 256,
        exclude=("cutout",),
    )
    task = dataclasses.replace(
        parent.task,
        backbone=BACKBONE,
        image_size=(256, 256),
        augmentations=(augment,),
    )
    return dataclasses.replace(
        parent,
        task=task,
        optimizer=AdamW(
            schedule=Cosine(learning_rate=0.004, warmup_epochs=5), weight_decay=0.1
        ),
    )
