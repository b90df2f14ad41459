r"""`mnv2_det_voc`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv2_det_voc_qat \
        --set "init_from = 'runs/mnv2_det_voc'"
"""

from configs import mnv2_det_voc
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv2_det_voc.experiment(), epochs=12)
