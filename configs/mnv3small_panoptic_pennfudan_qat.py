r"""`mnv3small_panoptic_pennfudan`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv3small_panoptic_pennfudan_qat \
        --set "init_from = 'runs/mnv3small_panoptic_pennfudan'"
"""

from configs import mnv3small_panoptic_pennfudan
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv3small_panoptic_pennfudan.experiment(), epochs=15)
