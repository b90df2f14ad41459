r"""`mnv4m_det_coco`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv4m_det_coco_qat \
        --set "init_from = 'runs/mnv4m_det_coco'"
"""

from configs import mnv4m_det_coco
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv4m_det_coco.experiment(), epochs=100)
