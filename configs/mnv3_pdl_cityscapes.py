r"""MobileNetV3-Large with Panoptic-DeepLab on Cityscapes.

    python train.py --experiment=mnv3_pdl_cityscapes \
        --set "dataset.data_dir = '/data/cityscapes'" \
        --set "init_from = 'torchvision:mobilenet_v3_large'"

Reads `leftImg8bit/` and `gtFine/*_instanceIds.png`. Network and recipe are those of
DeepLab2's `mobilenet_v3_large_os16` (Adam, batch 64, 60,000 steps, from ImageNet
weights); its model zoo has PQ 55.3, mean IoU 74.5 %, and with MobileNetV3-Small
(`--set "task.backbone.variant = 'small'"`) PQ 48.4 and 69.5 %, at 1025x2049. Here
sides are even and the cross-entropy is taken at stride 4. Not yet run at this scale.

The form for integers, `@PanopticDeepLab(rates=(6, 12, 18))` in the place of the head,
has 3.6 M parameters with the backbone; this one has 18.2 M.
"""

import dataclasses

from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.augmentation.color_policy import ColorPolicy
from official.data.cityscapes_panoptic import CityscapesPanoptic
from official.data.pipeline import Input
from official.experiment import Experiment
from official.export_spec import Export
from official.heads.panoptic_deeplab import PUBLISHED
from official.optim.optimizers import AdamW
from official.optim.schedules import Polynomial
from official.tasks.center_offsets import CenterOffsets
from official.tasks.panoptic import Panoptic
from official.training.trainer import Trainer

TRAINING_IMAGES = 2975
BATCH = 64
STEPS = 60_000
STEPS_AN_EPOCH = TRAINING_IMAGES // BATCH
WARMUP_STEPS = 500

NORM = Norm(momentum=0.99, epsilon=1e-5)


def experiment() -> Experiment:
    return Experiment(
        task=Panoptic(
            backbone=MobileNetV3(variant="large", output_stride=16, norm=NORM),
            head=dataclasses.replace(PUBLISHED, norm=NORM),
            method=CenterOffsets(),
            image_size=(1024, 2048),
            scale_range=(0.5, 2.0),
            color_policy=ColorPolicy(strength=0.2),
        ),
        dataset=CityscapesPanoptic(data_dir="data/cityscapes"),
        train=Input(split="train", batch_size=BATCH),
        eval=Input(split="val", batch_size=2),
        optimizer=AdamW(
            schedule=Polynomial(
                learning_rate=1e-3,
                power=0.9,
                warmup_epochs=WARMUP_STEPS / STEPS_AN_EPOCH,
            ),
            weight_decay=0.0,  # Adam
        ),
        trainer=Trainer(epochs=round(STEPS / STEPS_AN_EPOCH), evaluate_every=100),
        export=Export(output="masks", output_type="float32", min_agreement_int8=0.95),
    )
