import jax_process
import pytest

SCRIPT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())

import jax
import numpy as np
from panoptic_outputs import SIZES, drawn

from official.losses import panoptic
from official.ops import mask_matching

targets, outputs = drawn()
found = jax.jit(mask_matching.match)(
    outputs["mask_logits"], outputs["class_logits"],
    targets["segments"], targets["segment_classes"])
assert ((np.asarray(found) >= 0) == (targets["segment_classes"] >= 0)).all()
settings = {"prefixes": tuple(SIZES)}
relaxed = settings | {"remask": True}
losses = [
    panoptic.MaskClassLoss(reclass_eta=0.1, **relaxed),
    panoptic.MaskDiceLoss(**relaxed),
    panoptic.MaskIdLoss(gate_activation="softmax", **relaxed),
    panoptic.InstanceDiscriminationLoss(**settings),
    panoptic.InstanceDiscriminationLoss(samples=9, **settings),
    panoptic.SemanticLoss(hardest_fraction=0.5),
]
values = []
for loss in losses:
    value, gradients = jax.jit(jax.value_and_grad(lambda x: loss(targets, x)))(outputs)
    assert all(np.isfinite(g).all() for g in gradients.values())
    assert (np.asarray(gradients["aux1_semantic_logits"]) == 0).all()
    values.append(float(value))
assert "tensorflow" not in sys.modules
print(*values)
"""


@jax_process.needs_jax
def test_panoptic_losses_on_jax_are_those_on_tensorflow(root):
    from panoptic_outputs import SIZES, drawn

    from official.losses import panoptic

    found = [float(v) for v in jax_process.printed(SCRIPT, root).split()]
    targets, outputs = drawn()
    settings = {"prefixes": tuple(SIZES)}
    wanted = {
        0: panoptic.MaskClassLoss(remask=True, reclass_eta=0.1, **settings),
        1: panoptic.MaskDiceLoss(remask=True, **settings),
        2: panoptic.MaskIdLoss(remask=True, gate_activation="softmax", **settings),
        3: panoptic.InstanceDiscriminationLoss(**settings),
        5: panoptic.SemanticLoss(hardest_fraction=0.5),
    }
    for place, loss in wanted.items():
        assert found[place] == pytest.approx(float(loss(targets, outputs)), rel=1e-4)
