r"""`mnv3small_panoptic_synthetic`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv3small_panoptic_synthetic_qat \
        --set "init_from = 'runs/mnv3small_panoptic_synthetic'"
"""

from configs import mnv3small_panoptic_synthetic
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv3small_panoptic_synthetic.experiment(), epochs=4)
