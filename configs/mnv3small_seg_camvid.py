r"""MobileNetV3-Small with LR-ASPP on CamVid's 11 classes, from scratch.

    python train.py --experiment=mnv3small_seg_camvid \
        --set "dataset.data_dir = '/data/camvid'"

Wants `images/{train,val}/*.jpg` (480x360), `labels/{train,val}/*.png`, `classes.json`.

Measured on 367 / 101 photographs: val mean IoU 61.83 % (best constant prediction
2.68 %), float32 file 61.83 %, int8 file 61.28 %; 27 minutes in all on 2 cores (x86-64)
that ran other things beside it. With the paper's C3, no class weights and 352x480
pixels: 57.87 %.
"""

from official.backbones.convolutions import Norm
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

# 1 / sqrt(share of the training pixels), scaled to a mean of 1 over pixels: sky,
# building, pole, road, pavement, tree, sign, fence, car, pedestrian, bicyclist.
CLASS_WEIGHTS = (0.88, 0.75, 3.6, 0.64, 1.7, 1.15, 3.3, 3.4, 1.5, 4.5, 6.7)


def experiment() -> Experiment:
    return Experiment(
        task=Segmentation(
            backbone=MobileNetV3(variant="small", output_stride=16, norm=NORM),
            # C2, not the paper's C3: poles and signs are a few pixels wide.
            head=LRASPP(pooling="global", low_level="C2", norm=NORM),
            image_size=(480, 640),
            crop_size=(320, 448),
            scale_range=(0.5, 1.75),
            brightness=0.2,
            contrast=0.3,
            saturation=0.3,
            loss_stride=2,
            class_weights=CLASS_WEIGHTS,
        ),
        dataset=MaskFolder(data_dir="data/camvid"),
        train=Input(split="train", batch_size=8, cache=True),
        eval=Input(split="val", batch_size=8, cache=True),
        optimizer=AdamW(
            schedule=Cosine(learning_rate=2e-3, warmup_epochs=3),
            weight_decay=0.02,
            clip_norm=1.0,
            ema_decay=0.995,
        ),
        trainer=Trainer(epochs=100, evaluate_every=5),
    )
