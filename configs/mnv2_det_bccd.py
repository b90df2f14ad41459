r"""MobileNetV2 with SSDLite on BCCD: blood cells under a microscope.

    python train.py --experiment=mnv2_det_bccd \
        --set "dataset.data_dir = '/data/bccd'" \
        --set "init_from = '/weights/mobilenet_v2_1.0_224.weights.h5'"

The data: https://github.com/Shenggan/BCCD_Dataset, Pascal VOC's layout (red and white
cells, platelets).
"""

import dataclasses

from configs import mnv2_det_folder
from official.data.voc import VOC
from official.experiment import Experiment


def experiment() -> Experiment:
    parent = mnv2_det_folder.experiment()
    return dataclasses.replace(
        parent, dataset=VOC(data_dir="data/bccd", classes=("RBC", "WBC", "Platelets"))
    )
