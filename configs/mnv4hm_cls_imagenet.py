"""MobileNetV4-Hybrid-Medium on ImageNet.

python train.py --experiment=mnv4hm_cls_imagenet --set "dataset.data_dir = '/data'"

Recipe: TensorFlow Model Garden's `imagenet_mobilenetv4_hybrid_medium_tpu.yaml`
(256x256, batch 16384, AdamW, cosine from 0.016, 500 epochs of 78 steps, RandAugment,
stochastic depth 0.075; 80.7 % top-1 by its authors). How to prepare the data, and what
differs: see `mnv2_cls_imagenet`. Not yet run at this scale.
"""

import dataclasses

from configs import mnv4m_cls_imagenet
from official.data.augmentation.rand_augment import RandAugment
from official.experiment import Experiment
from official.optim.optimizers import AdamW
from official.optim.schedules import Cosine

WARMUP_STEPS, STEPS_PER_EPOCH = 1560, 78


def experiment() -> Experiment:
    parent = mnv4m_cls_imagenet.experiment()
    backbone = dataclasses.replace(mnv4m_cls_imagenet.BACKBONE, variant="hybrid_medium")
    augment = RandAugment(
        magnitude=15,
        probability=0.7,
        scale="model_garden",
        translate=10 / 256,
        cutout=40 / 256,
    )
    task = dataclasses.replace(parent.task, backbone=backbone, augmentations=(augment,))
    schedule = Cosine(learning_rate=0.016, warmup_epochs=WARMUP_STEPS / STEPS_PER_EPOCH)
    return dataclasses.replace(
        parent,
        task=task,
        train=dataclasses.replace(parent.train, batch_size=16384),
        optimizer=AdamW(schedule=schedule, weight_decay=0.1),
    )
