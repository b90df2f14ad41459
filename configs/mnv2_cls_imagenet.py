r"""MobileNetV2 on ImageNet; the parent of the other ImageNet experiments.

    tfds build imagenet2012 --file_format=array_record --data_dir=/data --manual_dir=...
    python train.py --experiment=mnv2_cls_imagenet \
        --overlay=configs/overlays/imagenet_256.gin \
        --set "dataset.data_dir = '/data'"

Recipe: TensorFlow Model Garden's `imagenet_mobilenetv2_tpu.yaml` (batch 4096, RMSProp,
0.256 falling by 0.96 every 2.5 epochs, crop and flip alone; 72.72 % top-1 by its
authors). Two differences: 1000 classes instead of 1001, and pixels scaled to [-1, 1]
instead of by channel means. Not yet run at this scale; the overlay is the same recipe
for one GPU.
"""

from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v2 import MobileNetV2
from official.data.pipeline import Input
from official.data.tfds import TFDS
from official.experiment import Experiment
from official.heads.classification import Classification as Classifier
from official.optim.optimizers import RMSProp
from official.optim.schedules import ExponentialSteps
from official.tasks.classification import Classification
from official.training.trainer import Trainer

NORM = Norm(momentum=0.997, epsilon=1e-3)


def experiment() -> Experiment:
    return Experiment(
        task=Classification(
            backbone=MobileNetV2(norm=NORM),
            head=Classifier(dropout=0.2),
            image_size=(224, 224),
            label_smoothing=0.1,
        ),
        dataset=TFDS(name="imagenet2012"),
        train=Input(split="train", batch_size=4096),
        eval=Input(split="val", batch_size=256),
        optimizer=RMSProp(
            schedule=ExponentialSteps(
                learning_rate=0.256, factor=0.96, every_epochs=2.5, warmup_epochs=5
            ),
            l2=1e-5,
        ),
        trainer=Trainer(epochs=500),
    )
