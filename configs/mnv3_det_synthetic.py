"""MobileNetV3-Large with SSDLite on procedural street scenes; nothing to download.

    python train.py --experiment=mnv3_det_synthetic

Measured: val AP50 20.6 % (best constant boxes 0.2 %), float32 file 20.6 %, int8 file
(2.95 MB) 20.5 %; 25 minutes on 2 cores (x86-64) that ran other things beside it.
"""

from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.pipeline import Input
from official.data.synthetic_boxes import SyntheticBoxes
from official.experiment import Experiment
from official.export_spec import Export
from official.heads.ssdlite import SSDLite
from official.optim.optimizers import AdamW
from official.optim.schedules import Cosine
from official.tasks.detection import Detection
from official.training.trainer import Trainer


def experiment() -> Experiment:
    norm = Norm(momentum=0.95)
    return Experiment(
        task=Detection(
            backbone=MobileNetV3(variant="large", reduced_tail="outputs", norm=norm),
            head=SSDLite(class_prior=0.01, norm=norm),
            image_size=(192, 384),
            random_crop=True,
            judged_by="ap50",
        ),
        dataset=SyntheticBoxes(height=192, width=384, train_size=1600, val_size=200),
        train=Input(split="train", batch_size=16, cache=True),
        eval=Input(split="val", batch_size=16, cache=True),
        optimizer=AdamW(
            schedule=Cosine(learning_rate=4e-3, warmup_epochs=1),
            clip_norm=5.0,
            ema_decay=0.98,
        ),
        trainer=Trainer(epochs=12, evaluate_every=3),
        export=Export(output="detections", output_type="float32"),
    )
