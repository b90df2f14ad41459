r"""`mnv2_det_bccd`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv2_det_bccd_qat \
        --set "init_from = 'runs/mnv2_det_bccd'"

Measured from the run that the docstring of `mnv2_det_bccd` describes (85.2 %): val AP50
86.4 %, of the int8 file (3.85 MB) 86.3 %; 11 minutes on 2 cores (x86-64).
"""

from configs import mnv2_det_bccd
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv2_det_bccd.experiment(), epochs=15)
