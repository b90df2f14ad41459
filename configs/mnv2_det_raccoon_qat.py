r"""`mnv2_det_raccoon`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv2_det_raccoon_qat \
        --set "init_from = 'runs/mnv2_det_raccoon'"
"""

from configs import mnv2_det_raccoon
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv2_det_raccoon.experiment(), epochs=15)
