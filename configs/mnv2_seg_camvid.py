"""MobileNetV2 with LR-ASPP on CamVid's 11 classes, from ImageNet weights.

    python train.py --experiment=mnv2_seg_camvid \
        --set "dataset.data_dir = '/data/camvid'" \
        --set "init_from = '/weights/mobilenet_v2_1.0_224.weights.h5'"

Without `init_from` the same network trains from scratch.
"""

from configs import mnv3small_seg_camvid
from official.backbones.mobilenet_v2 import MobileNetV2
from official.experiment import Experiment


def experiment() -> Experiment:
    backbone = MobileNetV2(output_stride=16, norm=mnv3small_seg_camvid.NORM)
    return mnv3small_seg_camvid.experiment(backbone)
