r"""`mnv2_seg_camvid`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv2_seg_camvid_qat \
        --set "dataset.data_dir = '/data/camvid'" \
        --set "init_from = 'runs/mnv2_seg_camvid'"
"""

from configs import mnv2_seg_camvid
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv2_seg_camvid.experiment(), epochs=8)
