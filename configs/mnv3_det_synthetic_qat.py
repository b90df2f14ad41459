r"""`mnv3_det_synthetic`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv3_det_synthetic_qat \
        --set "init_from = 'runs/mnv3_det_synthetic'"
"""

from configs import mnv3_det_synthetic
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv3_det_synthetic.experiment(), epochs=4)
