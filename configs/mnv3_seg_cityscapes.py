r"""MobileNetV3-Large with LR-ASPP on Cityscapes.

    python train.py --experiment=mnv3_seg_cityscapes \
        --set "dataset.data_dir = '/data/cityscapes'"

The paper (https://arxiv.org/abs/1905.02244, section 6.4) gives no training recipe that
we know of. Optimizer, schedule, batch, crop and augmentation are those of TensorFlow
Model Garden's `mnv2_deeplabv3_cityscapes` (100,000 steps); the network is the paper's.

Not yet run at this scale. With `configs/overlays/cpu.gin`, on 24 / 10 CamVid pictures
in Cityscapes' layout (11 classes occur): val mean IoU 33.41 % (best constant
prediction 2.62 %), float32 file 33.41 %, int8 file 33.40 %; 4 minutes on 2 busy cores.
"""

from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.cityscapes import Cityscapes
from official.data.pipeline import Input
from official.experiment import Experiment
from official.heads.lraspp import LRASPP
from official.optim.optimizers import SGD
from official.optim.schedules import Polynomial
from official.tasks.segmentation import Segmentation
from official.training.trainer import Trainer

TRAINING_IMAGES = 2975
BATCH = 16
STEPS = 100_000


def experiment() -> Experiment:
    norm = Norm(momentum=0.99, epsilon=1e-3)
    return Experiment(
        task=Segmentation(
            backbone=MobileNetV3(variant="large", output_stride=16, norm=norm),
            head=LRASPP(norm=norm),
            image_size=(1024, 2048),
            crop_size=(512, 1024),
            scale_range=(0.5, 2.0),
        ),
        dataset=Cityscapes(data_dir="data/cityscapes"),
        train=Input(split="train", batch_size=BATCH),
        eval=Input(split="val", batch_size=4),
        optimizer=SGD(
            schedule=Polynomial(learning_rate=0.01, power=0.9, warmup_epochs=5),
            momentum=0.9,
            l2=4e-5,
        ),
        trainer=Trainer(
            epochs=round(STEPS / (TRAINING_IMAGES // BATCH)), evaluate_every=20
        ),
    )
