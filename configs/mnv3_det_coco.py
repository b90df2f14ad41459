r"""MobileNetV3-Large with SSDLite on COCO; the parent of the other COCO detectors.

    python train.py --experiment=mnv3_det_coco --set "dataset.data_dir = '/data/coco'"

Wants COCO 2017 as it is unpacked: `annotations/instances_{train,val}2017.json`,
`train2017/`, `val2017/`.

Recipe: `ssd_mobilenet_v3_large_320x320_coco` of TensorFlow's Object Detection API (320
pixels, batch 512, momentum SGD, cosine from 0.4, 2000 steps of warm-up, 400,000 steps,
from scratch, focal loss; AP 22.6 by its authors; the paper,
https://arxiv.org/abs/1905.02244, Table 6, has 22.0). Not yet run at this scale.
"""

from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.coco_detection import COCODetection
from official.data.pipeline import Input
from official.experiment import Experiment
from official.export_spec import Export
from official.heads.ssdlite import SSDLite
from official.optim.optimizers import SGD
from official.optim.schedules import Cosine
from official.tasks.detection import Detection
from official.training.trainer import Trainer

TRAINING_IMAGES = 118_287
BATCH = 512
STEPS = 400_000
STEPS_AN_EPOCH = TRAINING_IMAGES // BATCH

NORM = Norm(momentum=0.97, epsilon=1e-3)

EXPORT = Export(output="detections", output_type="float32")


def experiment() -> Experiment:
    return Experiment(
        task=Detection(
            backbone=MobileNetV3(variant="large", reduced_tail="outputs", norm=NORM),
            head=SSDLite(class_prior=0.01, norm=NORM),
            image_size=(320, 320),
            random_crop=True,
            box_weight=1 / 4,  # a mean over coordinates
        ),
        dataset=COCODetection(data_dir="data/coco"),
        train=Input(split="train", batch_size=BATCH),
        eval=Input(split="val", batch_size=32),
        optimizer=SGD(
            schedule=Cosine(
                learning_rate=0.4,
                warmup_epochs=2000 / STEPS_AN_EPOCH,
                warmup_start=0.13333,
            ),
            momentum=0.9,
            l2=4e-5,
        ),
        trainer=Trainer(
            epochs=round(STEPS / STEPS_AN_EPOCH),
            evaluate_every=20,
            evaluate_batches=32,
        ),
        export=EXPORT,
    )
