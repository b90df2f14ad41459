r"""MobileNetV2 with SSDLite on anyone's own boxes, from ImageNet weights.

    python train.py --experiment=mnv2_det_folder \
        --set "dataset.data_dir = 'my_photos'" \
        --set "init_from = 'keras-applications:imagenet'"

wants `my_photos/boxes.csv` and `my_photos/images/`, see `official/data/box_list.py`.
Boxes of other tools need no conversion:

    --set "dataset = @YOLO(data_dir = 'my_photos')"            labels/*.txt, data.yaml
    --set "dataset = @VOC(data_dir = 'my_photos')"             Annotations/*.xml
    --set "dataset = @COCODetection(data_dir = 'my_photos')"   annotations/*.json

Small objects, or ones of unusual shapes? `scripts/fit_anchors.py` fits the anchors to
them.
"""

from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v2 import MobileNetV2
from official.data.box_list import BoxList
from official.data.pipeline import Input
from official.experiment import Experiment
from official.export_spec import Export
from official.heads.ssdlite import SSDLite
from official.optim.optimizers import AdamW
from official.optim.schedules import Cosine
from official.tasks.detection import Detection
from official.training.fine_tuning import FineTuning
from official.training.trainer import Trainer

# A few hundred steps have to fill the averages of the head's norms.
NORM = Norm(momentum=0.95)


def experiment() -> Experiment:
    return Experiment(
        task=Detection(
            backbone=MobileNetV2(),
            head=SSDLite(class_prior=0.01, norm=NORM),
            image_size=(320, 320),
            random_crop=True,
            photometric=True,
            judged_by="ap50",
        ),
        dataset=BoxList(data_dir="data"),
        train=Input(split="train", batch_size=16, cache=True),
        eval=Input(split="val", batch_size=16, cache=True),
        optimizer=AdamW(
            schedule=Cosine(learning_rate=2e-3, warmup_epochs=2),
            weight_decay=0.02,
            clip_norm=5.0,
            ema_decay=0.98,
        ),
        trainer=Trainer(epochs=60, evaluate_every=10),
        fine_tuning=FineTuning(freeze="C1", norm="inference", backbone_rate=0.1),
        export=Export(output="detections", output_type="float32"),
    )
