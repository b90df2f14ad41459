"""MobileNetV3-Large with LR-ASPP on procedural street scenes; nothing to download.

python train.py --experiment=mnv3_seg_synthetic
"""

from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.pipeline import Input
from official.data.synthetic import SyntheticStreets
from official.experiment import Experiment
from official.heads.lraspp import LRASPP
from official.optim.optimizers import AdamW
from official.optim.schedules import Cosine
from official.tasks.segmentation import Segmentation
from official.training.trainer import Trainer


def experiment() -> Experiment:
    norm = Norm(momentum=0.95)
    return Experiment(
        task=Segmentation(
            backbone=MobileNetV3(variant="large", output_stride=16, norm=norm),
            head=LRASPP(pooling="global", norm=norm),
            image_size=(128, 256),
            scale_range=(0.75, 1.5),
            loss_stride=2,
        ),
        dataset=SyntheticStreets(height=128, width=256, train_size=1600, val_size=200),
        train=Input(split="train", batch_size=16, cache=True),
        eval=Input(split="val", batch_size=16, cache=True),
        optimizer=AdamW(
            schedule=Cosine(learning_rate=4e-3, warmup_epochs=1),
            clip_norm=1.0,
            ema_decay=0.98,
        ),
        trainer=Trainer(epochs=8),
    )
