r"""MobileNetV2 with LR-ASPP on CamVid's 11 classes, from ImageNet weights.

    python train.py --experiment=mnv2_seg_camvid \
        --set "dataset.data_dir = '/data/camvid'" \
        --set "init_from = '/weights/mobilenet_v2_1.0_224.weights.h5'"

Without `init_from` the same network trains from scratch.

Measured on 367 / 101 photographs, 40 epochs each: val mean IoU 66.9 % from ImageNet
weights (float32 file 66.9 %, int8 file 66.8 %; earlier 66.2, 66.2 and 66.8 %), 57.5 %
from scratch (57.4 %, 57.3 %; earlier). 36 minutes of a core's work; 21 to 39 minutes by
the clock on 2 cores (x86-64) that ran other things beside it.
"""

import dataclasses

from configs import mnv3small_seg_camvid
from official.backbones.mobilenet_v2 import MobileNetV2
from official.experiment import Experiment
from official.optim.schedules import Cosine
from official.training.trainer import Trainer


def experiment() -> Experiment:
    parent = mnv3small_seg_camvid.experiment()
    task = dataclasses.replace(
        parent.task,
        backbone=MobileNetV2(output_stride=16, norm=mnv3small_seg_camvid.NORM),
        image_size=(352, 480),
        crop_size=(256, 352),
    )
    schedule = Cosine(learning_rate=1e-3, warmup_epochs=2)
    return dataclasses.replace(
        parent,
        task=task,
        optimizer=dataclasses.replace(parent.optimizer, schedule=schedule),
        trainer=Trainer(epochs=40, evaluate_every=5),
    )
