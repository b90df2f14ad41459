"""Where the tensors of torchvision's SSDLite go; what they compute is in goldens."""

import numpy as np

from official.heads import ssdlite
from official.weights import published, torchvision_ssdlite

CUT = {
    "backbone.features.0.0.0.weight": np.zeros(1),
    "backbone.features.0.1.block.0.0.weight": np.zeros(1),
    "backbone.features.0.2.0.weight": np.zeros(1),
    "backbone.features.1.0.1.0.weight": np.zeros(1),
    "backbone.features.1.1.block.0.1.bias": np.zeros(1),
    "backbone.features.1.2.0.weight": np.zeros(1),
    "backbone.extra.0.0.0.weight": np.zeros(1),
    "head.regression_head.module_list.0.1.bias": np.arange(8),
    "head.classification_head.module_list.0.1.bias": np.arange(8),
}


def test_a_backbone_that_is_cut_in_two_is_joined():
    assert set(torchvision_ssdlite.as_classifier(CUT)) == {
        "features.0.0.weight",
        "features.1.block.0.0.weight",
        "features.2.block.0.0.weight",
        "features.2.block.1.0.weight",
        "features.3.block.0.1.bias",
        "features.4.0.weight",
        *[name for name in CUT if "features" not in name],
    }


def test_offsets_change_from_x_y_w_h_to_y_x_h_w():
    found = torchvision_ssdlite.as_classifier(CUT)
    boxes = found["head.regression_head.module_list.0.1.bias"]
    assert boxes.tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    classes = found["head.classification_head.module_list.0.1.bias"]
    assert classes.tolist() == list(range(8))


def test_the_published_detector_says_what_it_is():
    item = published.find("torchvision:ssdlite320_mobilenet_v3_large")
    assert item.head == ssdlite.TORCHVISION
    assert (item.image_size, item.classes) == (320, 91)
    assert item.normalization == "symmetric"
    assert item.backbone.reduced_tail == "outputs"
    assert item.backbone.padding == "symmetric"
    assert str(item.file.digest) == "sha256 a79551df"
    assert "COCO" in item.provenance()["training_data"]
