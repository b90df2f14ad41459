r"""`mnv3_panoptic_folder`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv3_panoptic_folder_qat \
        --set "init_from = 'runs/mnv3_panoptic_folder'"
"""

from configs import mnv3_panoptic_folder
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv3_panoptic_folder.experiment(), epochs=15)
