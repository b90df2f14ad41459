r"""`mnv2_cls_folder`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv2_cls_folder_qat \
        --set "dataset.data_dir = 'my_photos'" \
        --set "init_from = 'runs/mnv2_cls_folder'"
"""

from configs import mnv2_cls_folder
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv2_cls_folder.experiment(), epochs=6)
