import jax_process

SCRIPT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())

import keras
import numpy as np

from official.backbones import mobilenet_v2, mobilenet_v3
from official.heads import lraspp, raspp

for backbone, head in [
    (mobilenet_v3.MobileNetV3(variant="small", width_multiplier=0.25), lraspp.LRASPP()),
    (mobilenet_v2.MobileNetV2(width_multiplier=0.25), raspp.RASPP(level="C4")),
]:
    images = keras.Input((32, 32, 3))
    model = keras.Model(images, head(backbone(images), 2)["logits"])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    height, width = model.output_shape[1:3]
    before = model.get_layer("stem_conv").get_weights()[0]
    history = model.fit(
        np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)),
        np.zeros((4, height, width), "int32"),
        verbose=0,
    )
    assert np.isfinite(history.history["loss"][0])
    assert not np.array_equal(before, model.get_layer("stem_conv").get_weights()[0])

# Quantization-aware, with the ranges that Keras alone keeps.
from official.quantization import scheme

plan = scheme.QuantScheme(observe_steps=1)
aware = plan.apply(model)
aware.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
random = np.random.default_rng(0)
for step in range(3):
    if plan.set_step(aware, step, total_steps=4):
        aware.make_train_function(force=True)
    aware.train_on_batch(
        random.uniform(-1, 1, (4, 32, 32, 3)), np.zeros((4, height, width), "int32")
    )
seen = {float(w.numpy()) for w in aware.weights if w.name == "range_count"}
assert seen == {3.0}, seen
# A detector: anchors matched to boxes, its losses, and what it finds.
from official.heads import ssdlite
from official.losses import detection
from official.ops import boxes, matching, nms

class Detector(keras.Model):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def call(self, images, training=False):
        return self.network(images, training=training)

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        losses = [detection.HardNegativeLoss(scores="softmax"), detection.BoxLoss()]
        return sum(loss(y, y_pred) for loss in losses) + detection.FocalLoss()(y, y_pred)

head = ssdlite.SSDLite(extra=(8, 8))
images = keras.Input((32, 32, 3))
backbone = mobilenet_v2.MobileNetV2(width_multiplier=0.25)
network = keras.Model(images, head(backbone(images), 3))
anchors = head.anchor_boxes((32, 32))
truth = np.tile(np.float32([[0.1, 0.1, 0.5, 0.6], [0, 0, 0, 0]]), (4, 1, 1))
matched = matching.match(anchors, truth, np.int32([[1, -1]] * 4), threshold=0.5)
counts = (np.asarray(matched.classes) > 0).sum(axis=1)
assert (counts >= 1).all(), counts
targets = {
    "anchor_classes": np.asarray(matched.classes),
    "anchor_boxes": np.asarray(boxes.encode(matched.boxes, anchors)),
    "positives": np.full(4, counts.mean(), "float32"),
}
detector = Detector(network)
detector.compile("sgd")
fed = random.uniform(-1, 1, (4, 32, 32, 3)).astype("float32")
history = detector.fit(fed, targets, verbose=0)
assert np.isfinite(history.history["loss"][0])
outputs = network(fed)
found = nms.class_wise(
    boxes.decode(outputs["box_encodings"], anchors),
    keras.ops.softmax(outputs["logits"])[..., 1:],
    score_threshold=0.01, iou_threshold=0.6, per_class=5, total=8)
assert (np.asarray(found["count"]) > 0).all()
assert (np.diff(np.asarray(found["scores"]), axis=1) <= 0).all()
assert "tensorflow" not in sys.modules
print("trained")
"""


@jax_process.needs_jax
def test_networks_train_on_jax_where_there_is_no_tensorflow(root):
    assert jax_process.printed(SCRIPT, root).endswith("trained")
