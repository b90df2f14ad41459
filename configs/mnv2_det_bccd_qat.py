r"""`mnv2_det_bccd`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv2_det_bccd_qat \
        --set "init_from = 'runs/mnv2_det_bccd'"
"""

from configs import mnv2_det_bccd
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv2_det_bccd.experiment(), epochs=15)
