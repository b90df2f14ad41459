r"""MobileNetV3-Large with a mask transformer, kMaX and ReMaX, on ADE20K.

    python train.py --experiment=mnv3_panoptic_ade20k \
        --set "dataset.data_dir = '/data/ADEChallengeData2016'" \
        --set "init_from = 'torchvision:mobilenet_v3_large'"

Reads `ade20k_panoptic_{train,val}.json` and the maps beside them, which Mask2Former's
`prepare_ade20k_pan_seg.py` makes of the challenge's archives: 150 classes, 100 of them
things. The recipe is that of kMaX-DeepLab's ResNet-50: 100,000 steps of batch 64 at
641x641. No result of a MobileNet is known to us. Not yet run at this scale.
"""

import dataclasses

from configs import mnv3small_panoptic_coco
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.coco_panoptic import COCOPanoptic
from official.experiment import Experiment
from official.heads.kmax import EFFICIENT
from official.optim.schedules import Polynomial
from official.tasks.mask_slots import MaskSlots
from official.tasks.panoptic_merging import ADE20K
from official.training.trainer import Trainer

TRAINING_IMAGES = 20_210
BATCH = 64
STEPS = 100_000
STEPS_AN_EPOCH = TRAINING_IMAGES // BATCH
WARMUP_STEPS = 5000


def experiment() -> Experiment:
    parent = mnv3small_panoptic_coco.experiment()
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(
            parent.task,
            backbone=MobileNetV3(variant="large"),
            head=dataclasses.replace(
                EFFICIENT,
                decoder=dataclasses.replace(EFFICIENT.decoder, drop_path=0.0),
            ),
            method=MaskSlots(max_segments=128, samples=1024, merging=ADE20K),
            scale_range=(0.5, 2.0),
        ),
        dataset=COCOPanoptic(data_dir="data/ADEChallengeData2016"),
        optimizer=dataclasses.replace(
            parent.optimizer,
            schedule=Polynomial(
                learning_rate=5e-4,
                power=0.9,
                warmup_epochs=WARMUP_STEPS / STEPS_AN_EPOCH,
            ),
        ),
        trainer=Trainer(epochs=round(STEPS / STEPS_AN_EPOCH), evaluate_every=20),
    )
