r"""MobileNetV3-Large with a mask transformer, kMaX and ReMaX, on Cityscapes.

    python train.py --experiment=mnv3_panoptic_cityscapes \
        --set "dataset.data_dir = '/data/cityscapes'" \
        --set "init_from = 'torchvision:mobilenet_v3_large'"

Reads `leftImg8bit/` and `gtFine/*_instanceIds.png`. The paper
(https://arxiv.org/abs/2306.17319) is recalled to have PQ 62.5 with MobileNetV3-Large at
1025x2049, masks at stride 2 and 256 slots; here masks are at stride 4 and there are
128, which takes an eighth of their memory. The recipe is that of kMaX-DeepLab's
ResNet-50 (AdamW, batch 32, 60,000 steps, the hardest 20 % of the semantic pixels) but
for the greater weight of small instances there. Not yet run at this scale.
"""

import dataclasses

from configs import mnv3small_panoptic_coco
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.augmentation.color_policy import ColorPolicy
from official.data.cityscapes_panoptic import CityscapesPanoptic
from official.data.pipeline import Input
from official.experiment import Experiment
from official.optim.schedules import Polynomial
from official.tasks.mask_slots import MaskSlots
from official.tasks.panoptic_merging import CITYSCAPES
from official.training.trainer import Trainer

TRAINING_IMAGES = 2975
BATCH = 32
STEPS = 60_000
STEPS_AN_EPOCH = TRAINING_IMAGES // BATCH
WARMUP_STEPS = 5000


def experiment() -> Experiment:
    parent = mnv3small_panoptic_coco.experiment()
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(
            parent.task,
            backbone=MobileNetV3(variant="large"),
            method=MaskSlots(
                max_segments=128,
                samples=4096,
                area_power=0.6,
                hardest_fraction=0.2,
                merging=CITYSCAPES,
            ),
            image_size=(1024, 2048),
            scale_range=(0.5, 2.0),
            color_policy=ColorPolicy(strength=0.2),
        ),
        dataset=CityscapesPanoptic(data_dir="data/cityscapes"),
        train=Input(split="train", batch_size=BATCH),
        eval=Input(split="val", batch_size=2),
        optimizer=dataclasses.replace(
            parent.optimizer,
            schedule=Polynomial(
                learning_rate=3e-4,
                power=0.9,
                warmup_epochs=WARMUP_STEPS / STEPS_AN_EPOCH,
            ),
        ),
        trainer=Trainer(epochs=round(STEPS / STEPS_AN_EPOCH), evaluate_every=20),
    )
