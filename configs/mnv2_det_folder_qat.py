r"""`mnv2_det_folder`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv2_det_folder_qat \
        --set "init_from = 'runs/mnv2_det_folder'"
"""

from configs import mnv2_det_folder
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv2_det_folder.experiment(), epochs=15)
