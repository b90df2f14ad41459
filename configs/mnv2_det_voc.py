r"""MobileNetV2 with SSDLite on Pascal VOC, from ImageNet weights.

    python train.py --experiment=mnv2_det_voc \
        --set "dataset.data_dir = '/data/VOCdevkit/VOC2012'" \
        --set "init_from = 'keras-applications:imagenet'"

Judged by VOC's own average precision. The recipe is that of `mnv2_det_folder` with all
levels trained, for 5717 images instead of a few hundred; nobody published one for this
network and data. Not yet run at this scale.
"""

import dataclasses

from configs import mnv2_det_folder
from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v2 import MobileNetV2
from official.data.pipeline import Input
from official.data.voc import VOC
from official.experiment import Experiment
from official.heads.ssdlite import SSDLite
from official.optim.schedules import Cosine
from official.training.fine_tuning import FineTuning
from official.training.trainer import Trainer

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)

NORM = Norm(momentum=0.99)


def experiment() -> Experiment:
    parent = mnv2_det_folder.experiment()
    task = dataclasses.replace(
        parent.task,
        backbone=MobileNetV2(norm=NORM),
        head=SSDLite(class_prior=0.01, norm=NORM),
        zoom_out=2.0,
        judged_by="voc_ap",
    )
    schedule = Cosine(learning_rate=2e-3, warmup_epochs=2)
    return dataclasses.replace(
        parent,
        task=task,
        dataset=VOC(data_dir="data/VOCdevkit/VOC2012", classes=CLASSES),
        train=Input(split="train", batch_size=32),
        eval=Input(split="val", batch_size=32),
        optimizer=dataclasses.replace(
            parent.optimizer, schedule=schedule, ema_decay=0.999
        ),
        trainer=Trainer(epochs=120, evaluate_every=10, evaluate_batches=32),
        fine_tuning=FineTuning(backbone_rate=0.3),
    )
