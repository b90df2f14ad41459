r"""`mnv3_panoptic_cityscapes` in the form for integers, quantization-aware.

    python train.py --experiment=mnv3_panoptic_cityscapes_qat \
        --set "init_from = 'runs/edge'"

from a float run with `--set "task.head = @KMaX()" --run_dir=runs/edge`: axial attention
and layer norms have no integer form.
"""

import dataclasses

from configs import mnv3_panoptic_cityscapes
from official.experiment import Experiment, quantization_aware
from official.heads.kmax import EDGE


def experiment() -> Experiment:
    parent = mnv3_panoptic_cityscapes.experiment()
    parent = dataclasses.replace(
        parent, task=dataclasses.replace(parent.task, head=EDGE)
    )
    return quantization_aware(parent, epochs=60)
