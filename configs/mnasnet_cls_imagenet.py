"""MnasNet-A1 on ImageNet.

python train.py --experiment=mnasnet_cls_imagenet --set "dataset.data_dir = '/data'"

The paper (https://arxiv.org/abs/1807.11626, section 5) trains on 350 epochs with batch
4096, RMSProp (decay 0.9, momentum 0.9), batch norm momentum 0.99, weight decay 1e-5,
dropout 0.2, a warm-up of 5 epochs to 0.256 and a decay by 0.97 every 2.4 epochs (75.2 %
top-1; all of this from memory, unverified). How to prepare the data: see
`mnv2_cls_imagenet`. Not yet run at this scale.
"""

import dataclasses

from configs import mnv2_cls_imagenet
from official.backbones.convolutions import Norm
from official.backbones.mnasnet import MnasNet
from official.experiment import Experiment
from official.optim.schedules import ExponentialSteps
from official.training.trainer import Trainer


def experiment() -> Experiment:
    parent = mnv2_cls_imagenet.experiment()
    backbone = MnasNet(variant="a1", norm=Norm(momentum=0.99, epsilon=1e-3))
    schedule = ExponentialSteps(
        learning_rate=0.256, factor=0.97, every_epochs=2.4, warmup_epochs=5
    )
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(parent.task, backbone=backbone),
        optimizer=dataclasses.replace(parent.optimizer, schedule=schedule),
        trainer=Trainer(epochs=350),
    )
