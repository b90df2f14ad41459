"""Where torchvision is installed: what its networks compute, and where they are."""

import drawn
import keras
import numpy as np
import pytest
import pytorch
from PIL import Image
from safetensors import numpy as safetensors_numpy

from official.heads import base as heads_base
from official.ops import boxes as box_ops
from official.ops import nms
from official.weights import files, published

ITEMS = [item for item in published._all() if item.name.startswith("torchvision:")]
MODELS = {item.model: item for item in ITEMS if item.classes == 1000}.values()


@pytest.fixture(scope="module", autouse=True)
def torchvision():
    return pytorch.installed("torchvision")


@pytest.mark.parametrize("item", MODELS, ids=lambda item: item.name)
def test_a_network_gives_what_torchvision_gives(item, tmp_path):
    pytorch.compare(item, tmp_path)


DETECTORS = [item for item in ITEMS if isinstance(item.head, heads_base.DetectionHead)]
every_detector = pytest.mark.parametrize("item", DETECTORS, ids=lambda item: item.name)


def test_there_are_detectors():
    assert [item.model for item in DETECTORS] == [
        "torchvision:ssdlite320_mobilenet_v3_large"
    ]


@every_detector
def test_a_detector_gives_what_torchvision_gives(item, tmp_path):
    # Rounding: against double precision ours is off by 1.9e-4, theirs by 1.6e-5.
    pytorch.compare(item, tmp_path, tolerance=5e-4)


@every_detector
def test_anchors_are_those_of_torchvision(item, torchvision):
    import torch

    network = pytorch.model("torchvision", item.model.partition(":")[2])
    for size in ((320, 320), (200, 333)):
        images = torch.zeros((1, 3, *size))
        with torch.no_grad():
            features = list(network.eval().backbone(images).values())
        listed = torchvision.models.detection.image_list.ImageList(images, [size])
        (theirs,) = network.anchor_generator(listed, features)
        xyxy = theirs.numpy() / np.array([size[1], size[0]] * 2)
        np.testing.assert_allclose(
            item.head.anchor_boxes(size), xyxy[:, [1, 0, 3, 2]], atol=1e-5
        )


@every_detector
def test_detections_are_those_of_torchvision(item, shared, tmp_path):
    """On a photograph, with weights that have seen none: many boxes of all classes.

    Ours have no limit of 300 candidates a class, which here changes none of the best.
    """
    theirs = pytorch.model("torchvision", item.model.partition(":")[2])
    photo = next((shared / "data" / "raccoon_voc").rglob("*.jpg"))
    with Image.open(photo) as image:
        resized = image.convert("RGB").resize((320, 320))
    pixels = np.asarray(resized, "float32")[None]
    wanted = pytorch.detections(theirs, pixels)
    safetensors_numpy.save_file(
        drawn.tensors(pytorch.shapes(theirs)), tmp_path / "model.safetensors"
    )
    ours = published.build(item)
    moved = files.load(tmp_path / "model.safetensors", ours, item.backbone)
    assert not moved.skipped
    assert not moved.random
    outputs = ours(pixels)
    boxes = box_ops.decode(outputs["box_encodings"], item.head.anchor_boxes((320, 320)))
    scores = keras.ops.softmax(outputs["logits"])[..., 1:]
    found = nms.class_wise(
        keras.ops.clip(boxes, 0.0, 1.0),
        scores,
        score_threshold=0.001,
        iou_threshold=0.55,
        per_class=300,
        total=300,
    )
    best = 100
    np.testing.assert_allclose(
        found["scores"][0][:best], wanted["scores"][:best], rtol=1e-3
    )
    xyxy = np.asarray(found["boxes_yxyx"][0][:best])[:, [1, 0, 3, 2]] * 320
    overlaps = np.diag(box_ops.iou(xyxy, wanted["boxes"][:best]))
    same = np.asarray(found["class_ids"][0][:best]) + 1 == wanted["labels"][:best]
    # Scores that differ in the last digits alone may change places.
    assert np.mean(np.logical_and(overlaps > 0.95, same)) > 0.97


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)
def test_the_file_is_that_of_torchvision(item, torchvision):
    model, _, tag = item.name.partition(":")[2].partition(".")
    weights = torchvision.models.get_model_weights(model)
    assert weights[tag.upper()].url == item.file.url


def test_a_model_without_a_tag_is_the_default(torchvision):
    for name in {item.model for item in ITEMS}:
        weights = torchvision.models.get_model_weights(name.partition(":")[2])
        tag = weights.DEFAULT.name.lower()
        assert published.find(name).name == f"{name}.{tag}"
