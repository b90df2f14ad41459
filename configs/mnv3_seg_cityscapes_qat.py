r"""`mnv3_seg_cityscapes`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv3_seg_cityscapes_qat \
        --set "dataset.data_dir = '/data/cityscapes'" \
        --set "init_from = 'runs/mnv3_seg_cityscapes'"

Not yet run at this scale.
"""

from configs import mnv3_seg_cityscapes
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv3_seg_cityscapes.experiment(), epochs=50)
