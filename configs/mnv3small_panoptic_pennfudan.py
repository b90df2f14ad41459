r"""A mask transformer on Penn-Fudan's pedestrians: persons, each by itself.

    python train.py --experiment=mnv3small_panoptic_pennfudan \
        --set "dataset.data_dir = '/data/pennfudan'"

Reads COCO's panoptic form (`annotations/panoptic_train.json`, maps beside it,
`images/train/`); the photographs: https://www.cis.upenn.edu/~jshi/ped_html/. There are
only a hundred of them: start from ImageNet weights, which for MobileNetV2 are

        --set "task.backbone = @MobileNetV2()" \
        --set "init_from = 'keras-applications:imagenet'"

Measured on 105 / 25 photographs: PQ of persons 66.7 %, int8 64.7 %, outside the gate of
a point (one of 73 persons is more), in another run 66.9 % and 66.9 %; 33 minutes on 2
busy cores. Quantization-aware it is inside; more in docs/panoptic.md.
"""

import dataclasses

from configs import mnv3small_panoptic_synthetic
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.coco_panoptic import COCOPanoptic
from official.data.copy_paste import CopyPaste
from official.data.pipeline import Input
from official.experiment import Experiment
from official.optim.optimizers import AdamW
from official.optim.schedules import Cosine
from official.tasks.mask_slots import MaskSlots
from official.tasks.panoptic_merging import MaskWise
from official.training.fine_tuning import FineTuning
from official.training.trainer import Trainer

MERGING = MaskWise(
    thing_threshold=0.5, stuff_threshold=0.3, overlap_threshold=0.7, min_thing_area=100
)


def experiment() -> Experiment:
    parent = mnv3small_panoptic_synthetic.experiment()
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(
            parent.task,
            backbone=MobileNetV3(variant="small"),
            head=dataclasses.replace(parent.task.head, slots=32),
            method=MaskSlots(
                max_segments=16,
                samples=512,
                merging=MERGING,
            ),
            image_size=(256, 256),
            scale_range=(0.7, 1.6),
            brightness=0.2,
            contrast=0.3,
            saturation=0.3,
            copy_paste=CopyPaste(probability=0.3),
            judged_by="pq_things",
        ),
        dataset=COCOPanoptic(data_dir="data/pennfudan"),
        train=Input(split="train", batch_size=8, cache=True),
        eval=Input(split="val", batch_size=5, cache=True),
        optimizer=AdamW(
            schedule=Cosine(learning_rate=2e-3, warmup_epochs=3),
            weight_decay=0.05,
            clip_norm=5.0,
            ema_decay=0.98,
        ),
        trainer=Trainer(epochs=120, evaluate_every=20),
        fine_tuning=FineTuning(norm="inference", backbone_rate=0.1),
    )
