r"""`mnv3_pdl_cityscapes`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv3_pdl_cityscapes_qat \
        --set "init_from = 'runs/mnv3_pdl_cityscapes'"
"""

from configs import mnv3_pdl_cityscapes
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv3_pdl_cityscapes.experiment(), epochs=100)
