r"""MobileNetV1 0.25 at 96x96 on Visual Wake Words: is there a person?

    python train.py --experiment=mnv1_cls_vww --set "dataset.data_dir = '/data/vww'"

reads `annotations/vww_train.csv` and `vww_val.csv` (columns `file,person`) and
`images/train/`, `images/val/` in that folder. The network is that of MLPerf Tiny, whose
published weights become an int8 file without any training:

    python train.py --experiment=mnv1_cls_vww --set "dataset.data_dir = '/data/vww'" \
        --set "init_from = 'vww_96.h5'" --set "trainer.epochs = 0"

So made, the file is right on 100 of 128 COCO photographs, the published int8 file on
100 (`python -m tflite_export evaluate`); 0.31 MB against 0.33 MB.

Optimizer, batch and length follow MLPerf Tiny's training script, from memory and
unverified: Adam, batch 50, 50 epochs.
"""

from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v1 import MobileNetV1
from official.data.image_list import ImageList
from official.data.pipeline import Input
from official.experiment import Experiment
from official.export_spec import Export
from official.heads.classification import Classification as Classifier
from official.optim.optimizers import AdamW
from official.optim.schedules import Cosine
from official.tasks.classification import Classification
from official.training.trainer import Trainer


def experiment() -> Experiment:
    return Experiment(
        task=Classification(
            backbone=MobileNetV1(
                width_multiplier=0.25, activation="relu", norm=Norm(momentum=0.99)
            ),
            head=Classifier(dropout=0.0),
            image_size=(96, 96),
            normalization="unit",
            center_share=None,
            crop_area=(0.5, 1.0),
        ),
        dataset=ImageList(
            data_dir="data/vww",
            table="annotations/vww_{split}.csv",
            images="images/{split}",
            label_column="person",
            classes=("no person", "person"),
        ),
        train=Input(split="train", batch_size=50),
        eval=Input(split="val", batch_size=50),
        optimizer=AdamW(
            schedule=Cosine(learning_rate=1e-3, warmup_epochs=1), ema_decay=0.99
        ),
        trainer=Trainer(epochs=50, evaluate_every=5),
        # What runtimes for microcontrollers feed and read.
        export=Export(input_type="int8", output_type="int8"),
    )
