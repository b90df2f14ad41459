r"""`mnv2_det_coco`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv2_det_coco_qat \
        --set "init_from = 'runs/mnv2_det_coco'"
"""

from configs import mnv2_det_coco
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv2_det_coco.experiment(), epochs=12)
