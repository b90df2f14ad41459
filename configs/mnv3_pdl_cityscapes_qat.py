r"""`mnv3_pdl_cityscapes` in the form for integers, quantization-aware.

    python train.py --experiment=mnv3_pdl_cityscapes_qat \
        --set "init_from = 'runs/narrow'"

from a float run with `--set "task.head = @PanopticDeepLab(rates=(6, 12, 18))"
--run_dir=runs/narrow`.
"""

import dataclasses

from configs import mnv3_pdl_cityscapes
from official.experiment import Experiment, quantization_aware
from official.heads.panoptic_deeplab import PanopticDeepLab


def experiment() -> Experiment:
    parent = mnv3_pdl_cityscapes.experiment()
    head = PanopticDeepLab(rates=(6, 12, 18))
    parent = dataclasses.replace(
        parent, task=dataclasses.replace(parent.task, head=head)
    )
    return quantization_aware(parent, epochs=100)
