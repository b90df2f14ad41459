"""MobileNetV3-Small with LR-ASPP on CamVid's 11 classes, from scratch.

    python train.py --experiment=mnv3small_seg_camvid \
        --set "dataset.data_dir = '/data/camvid'"

Wants `images/{train,val}/*.jpg` (480x360), `labels/{train,val}/*.png`, `classes.json`.
"""

from official.backbones.base import Backbone
from official.backbones.blocks import Norm
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.mask_folder import MaskFolder
from official.data.pipeline import Input
from official.experiment import Experiment
from official.heads.lraspp import LRASPP
from official.optim.optimizers import AdamW
from official.optim.schedules import Cosine
from official.tasks.segmentation import Segmentation
from official.training.trainer import Trainer

# So short a training never fills averages that are made for ImageNet's.
NORM = Norm(momentum=0.97)


def experiment(backbone: Backbone | None = None) -> Experiment:
    return Experiment(
        task=Segmentation(
            backbone=backbone
            or MobileNetV3(variant="small", output_stride=16, norm=NORM),
            head=LRASPP(pooling="global", norm=NORM),
            image_size=(352, 480),
            crop_size=(256, 352),
            scale_range=(0.5, 1.75),
            brightness=0.2,
            contrast=0.3,
            saturation=0.3,
            loss_stride=2,
        ),
        dataset=MaskFolder(data_dir="data/camvid"),
        train=Input(split="train", batch_size=16, cache=True),
        eval=Input(split="val", batch_size=8, cache=True),
        optimizer=AdamW(
            schedule=Cosine(learning_rate=3e-3, warmup_epochs=3),
            weight_decay=0.02,
            clip_norm=1.0,
            ema_decay=0.99,
        ),
        trainer=Trainer(epochs=120, evaluate_every=5),
    )
