r"""MobileNetV2 with SSDLite on COCO, from ImageNet weights.

    python train.py --experiment=mnv2_det_coco \
        --set "dataset.data_dir = '/data/coco'" \
        --set "init_from = 'keras-applications:imagenet'"

Recipe: `ssdlite_mobilenet_v2_coco` of TensorFlow's Object Detection API (batch 24,
RMSProp from 0.004, 200,000 steps, hard negatives; AP 22 by its authors; 22.1 in Table 6
of https://arxiv.org/abs/1905.02244), at the paper's 320 pixels (the API's 300). The
norms forget faster than its 0.9997. Not yet run at this scale.
"""

import dataclasses

from configs import mnv3_det_coco
from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v2 import MobileNetV2
from official.experiment import Experiment
from official.heads.ssdlite import SSDLite
from official.optim.optimizers import RMSProp
from official.optim.schedules import ExponentialSteps

NORM = Norm(momentum=0.997, epsilon=1e-3)

BATCH = 24
STEPS = 200_000
STEPS_AN_EPOCH = mnv3_det_coco.TRAINING_IMAGES // BATCH


def experiment() -> Experiment:
    parent = mnv3_det_coco.experiment()
    task = dataclasses.replace(
        parent.task,
        backbone=MobileNetV2(norm=NORM),
        head=SSDLite(norm=NORM),
        class_loss="hard_negatives",
        box_weight=1.0,
    )
    return dataclasses.replace(
        parent,
        task=task,
        train=dataclasses.replace(parent.train, batch_size=BATCH),
        optimizer=RMSProp(
            schedule=ExponentialSteps(
                learning_rate=0.004, factor=0.95, every_epochs=800_720 / STEPS_AN_EPOCH
            ),
            l2=4e-5,
        ),
        trainer=dataclasses.replace(
            parent.trainer, epochs=round(STEPS / STEPS_AN_EPOCH), evaluate_every=4
        ),
    )
