import math
import re

import keras
import numpy as np
import pytest

from official.backbones import mobilenet_v2
from official.heads import fpnlite
from official.layers import cost

V2 = mobilenet_v2.MobileNetV2


def _model(head, size, *, classes=3, backbone=None):
    images = keras.Input((*size, 3))
    backbone = backbone or V2(width_multiplier=0.25)
    return keras.Model(images, head(backbone(images), classes))


def test_levels_and_anchors_at_320_pixels():
    model = _model(fpnlite.FPNLite(), (320, 320), classes=90, backbone=V2())
    # (40^2 + 20^2 + 10^2 + 5^2 + 3^2) cells of 6 shapes.
    assert model.output["logits"].shape == (None, 12804, 90)
    assert model.output["box_encodings"].shape == (None, 12804, 4)
    assert len(fpnlite.FPNLite().anchor_boxes((320, 320))) == 12804
    # Of our own, against a change by accident: the published detectors of this kind
    # share their towers.
    parameters = sum(math.prod(w.shape) for w in model.trainable_weights)
    assert parameters == 3_201_796
    assert round(cost.multiply_adds(model) / 1e9, 2) == 0.98


@pytest.mark.parametrize("size", [(64, 64), (75, 161)])
def test_a_coarser_level_is_enlarged_to_the_finer_one_s_size(size):
    model = _model(fpnlite.FPNLite(filters=8, depth=0), size)
    for number, stride in ((1, 8), (2, 16)):
        enlarged = model.get_layer(f"fpnlite_lateral{number}_enlarge")
        wanted = tuple(math.ceil(side / stride) for side in size)
        assert enlarged.output.shape[1:3] == wanted
        assert enlarged.interpolation == "nearest"


def test_what_is_seen_at_the_coarsest_tap_reaches_the_finest_level():
    sizes = {"C1": 16, "C3": 4, "C4": 2, "C5": 1}
    features = {
        key: keras.Input((side, side, 2), name=key) for key, side in sizes.items()
    }
    outputs = fpnlite.FPNLite(filters=4, depth=0, coarse=0)(features, 2)
    model = keras.Model(features, outputs)
    # No ReLU is dead where all kernels are positive.
    model.set_weights([np.abs(weight) for weight in model.get_weights()])
    fed = {key: np.zeros((1, side, side, 2)) for key, side in sizes.items()}
    dark = np.asarray(model(fed)["logits"])
    fed["C5"] = np.full((1, 1, 1, 2), 9.0)
    lit = np.asarray(model(fed)["logits"])
    cells = 4 * 4 * 6
    assert (np.abs(lit - dark)[0, :cells].reshape(4, 4, -1).max(-1) > 0).all()
    # But not the other way round: C3 has no way to the coarser levels.
    fed["C3"] = np.full((1, 4, 4, 2), 9.0)
    np.testing.assert_array_equal(
        np.asarray(model(fed)["logits"])[0, cells:], lit[0, cells:]
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"taps": ("C3", "C5")}, "FPNLite.taps = ('C3', 'C5'): must be features each"),
        ({"filters": 0}, "FPNLite.filters = 0: must be above 0"),
        ({"depth": -1}, "FPNLite.depth = -1: must not be below 0"),
        ({"coarse": -1}, "FPNLite.coarse = -1: must not be below 0"),
        ({"class_prior": 0.0}, "FPNLite.class_prior = 0.0: must be in (0, 1)"),
    ],
)
def test_a_wrong_value_is_refused(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        fpnlite.FPNLite(**fields)
