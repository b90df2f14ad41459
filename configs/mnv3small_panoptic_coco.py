r"""MobileNetV3-Small with a mask transformer, kMaX and ReMaX, on COCO.

    python train.py --experiment=mnv3small_panoptic_coco \
        --set "dataset.data_dir = '/data/coco'" \
        --set "init_from = 'torchvision:mobilenet_v3_small'"

ReMaX-T (https://arxiv.org/abs/2306.17319) as far as it is known: 18.6 M parameters at
641x641, recalled from the paper as PQ 40.4 on val2017. The paper's network was never
published; see `official.heads.kmax` for what is inferred. The recipe is that of
kMaX-DeepLab's ResNet-50 (google-research/deeplab2): AdamW, batch 64, 150,000 steps.

`task.head = @KMaX()` is the form for integer files. Not yet run at this scale.
"""

from official.backbones.convolutions import Norm
from official.backbones.mobilenet_v3 import MobileNetV3
from official.data.augmentation.color_policy import ColorPolicy
from official.data.coco_panoptic import COCOPanoptic
from official.data.copy_paste import CopyPaste
from official.data.pipeline import Input
from official.experiment import Experiment
from official.export_spec import Export
from official.heads.kmax import EFFICIENT
from official.optim.optimizers import AdamW
from official.optim.schedules import Polynomial
from official.tasks.mask_slots import MaskSlots
from official.tasks.panoptic import Panoptic
from official.tasks.panoptic_merging import COCO
from official.training.fine_tuning import FineTuning
from official.training.trainer import Trainer

TRAINING_IMAGES = 118_287
BATCH = 64
STEPS = 150_000
STEPS_AN_EPOCH = TRAINING_IMAGES // BATCH
WARMUP_STEPS = 5000


def experiment() -> Experiment:
    return Experiment(
        task=Panoptic(
            backbone=MobileNetV3(variant="small", norm=Norm()),
            head=EFFICIENT,
            method=MaskSlots(max_segments=128, samples=4096, merging=COCO),
            image_size=(640, 640),
            scale_range=(0.3, 1.7),
            color_policy=ColorPolicy(),
            copy_paste=CopyPaste(),
        ),
        dataset=COCOPanoptic(data_dir="data/coco"),
        train=Input(split="train", batch_size=BATCH),
        eval=Input(split="val", batch_size=8),
        optimizer=AdamW(
            schedule=Polynomial(
                learning_rate=5e-4,
                power=0.9,
                warmup_epochs=WARMUP_STEPS / STEPS_AN_EPOCH,
            ),
            weight_decay=0.05,
        ),
        trainer=Trainer(epochs=round(STEPS / STEPS_AN_EPOCH), evaluate_every=10),
        fine_tuning=FineTuning(backbone_rate=0.1),
        # Axial attention and layer norms stay in float: this form has no integer file.
        export=Export(output="masks", precisions=("float32",), min_agreement_int8=0.95),
    )
