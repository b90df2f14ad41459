r"""`mnv4s_cls_imagenet`, quantization-aware, from a float run of it.

    python train.py --experiment=mnv4s_cls_imagenet_qat \
        --set "dataset.data_dir = '/data'" --set "init_from = 'runs/mnv4s_cls_imagenet'"

Not yet run at this scale.
"""

from configs import mnv4s_cls_imagenet
from official.experiment import Experiment, quantization_aware


def experiment() -> Experiment:
    return quantization_aware(mnv4s_cls_imagenet.experiment(), epochs=20)
