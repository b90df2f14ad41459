"""MobileNetV4-Conv-Small on ImageNet.

python train.py --experiment=mnv4s_cls_imagenet --set "dataset.data_dir = '/data'"

Recipe: TensorFlow Model Garden's `imagenet_mobilenetv4_conv_small_tpu.yaml` (batch
4096, AdamW with beta_1 0.6, cosine, 3,002,368 steps, RandAugment without Cutout, moving
average of the weights, there from step 1560 on, here from the first; 73.8 % top-1 by
its authors). How to prepare the data, and what differs: see `mnv2_cls_imagenet`. Not
yet run at this scale.
"""

import dataclasses

from configs import mnv2_cls_imagenet
from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v4 import MobileNetV4
from official.data.augmentation.rand_augment import RandAugment
from official.experiment import Experiment
from official.heads.classification import Classification as Classifier
from official.optim.optimizers import AdamW
from official.optim.schedules import Cosine
from official.training.trainer import Trainer


def experiment() -> Experiment:
    parent = mnv2_cls_imagenet.experiment()
    norm = Norm(momentum=0.95, epsilon=1e-6)
    augment = RandAugment(
        magnitude=9,
        probability=0.5,
        scale="model_garden",
        translate=20 / 224,
        exclude=("cutout",),
    )
    task = dataclasses.replace(
        parent.task,
        backbone=MobileNetV4(variant="conv_small", norm=norm),
        head=Classifier(dropout=0.3),
        augmentations=(augment,),
    )
    return dataclasses.replace(
        parent,
        task=task,
        optimizer=AdamW(
            schedule=Cosine(learning_rate=0.002, warmup_epochs=5),
            weight_decay=0.01,
            l2=1e-5,
            beta_1=0.6,
            epsilon=1e-6,
            ema_decay=0.9999,
        ),
        trainer=Trainer(epochs=9623),
    )
