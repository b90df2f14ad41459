"""A small detector with one level of anchors, for tests of the export stage."""

import dataclasses

import keras
import numpy as np
import small

from official import export_spec
from official.backbones import base as backbones_base
from official.data import transforms
from official.experiment import Experiment
from official.tasks import base, detector, outputs

NAMES = ("red", "green", "blue")
SIDES = ((0.25, 0.25), (0.5, 0.3), (0.3, 0.7))
"""Height and width of the anchors of a cell."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Boxes(base.Task):
    """Boxes around nothing in particular: the weights are random."""

    activation: str = "sigmoid"
    level: str = "C2"

    metric = "none"

    @property
    def score_activation(self):
        return self.activation

    @property
    def output_forms(self):
        return ("detections", "raw", "decoded")

    @property
    def detector(self):
        rows, columns = self.cells
        y = (np.arange(rows) + 0.5) / rows
        x = (np.arange(columns) + 0.5) / columns
        grid = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
        centers = grid.reshape(-1, 1, 2)
        halves = np.array(SIDES)[None] / 2
        corners = np.concatenate([centers - halves, centers + halves], axis=-1)
        return detector.Detector(
            anchors=corners.reshape(-1, 4).astype(np.float32),
            scales=(10.0, 10.0, 5.0, 5.0),
            score_threshold=0.3,
            iou_threshold=0.5,
            per_class=10,
            total=20,
        )

    @property
    def cells(self):
        stride = 2 ** int(self.level[1])
        return tuple(-(-side // stride) for side in self.image_size)

    def build(self, *, num_classes, training):
        del training
        images = keras.Input((*self.image_size, 3), name="images")
        features = self.backbone(self.normalized(images))[self.level]
        count = len(SIDES)
        boxes = keras.layers.Conv2D(4 * count, 1, name="boxes_conv")(features)
        classes = num_classes + (self.activation == "softmax")
        logits = keras.layers.Conv2D(classes * count, 1, name="classes_conv")(features)
        given = {
            "box_encodings": keras.layers.Reshape((-1, 4), name="encodings")(boxes),
            "logits": keras.layers.Reshape((-1, classes), name="logits")(logits),
        }
        return keras.Model(images, given, name="detector")

    def finish(self, network, *, output, size):
        del size
        self.require_form(output)
        return outputs.of_boxes(
            network, self.detector, output=output, activation=self.activation
        )

    def preprocess(self, example, *, training, seed=None):
        return transforms.resize(example["image"], self.image_size), {}

    def losses(self):
        return {}

    def metrics(self, class_names):
        return {}

    def postprocess(self, given, targets):
        return given

    def agreement(self, ours, theirs, targets):
        return 1, 1

    def constant_metric(self, metrics):
        return 0.0


def experiment(
    backbone: backbones_base.Backbone | None = None, *, side: int = 32, **spec
) -> Experiment:
    task = {} if backbone is None else {"level": "C5"}
    chosen = small.experiment()
    return dataclasses.replace(
        chosen,
        task=Boxes(
            backbone=backbone or small.TwoConvolutions(dropout=0.0),
            image_size=(side, side),
            activation=spec.pop("activation", "sigmoid"),
            **task,
        ),
        export=export_spec.Export(**{"output": "detections"} | spec),
    )


def network(chosen: Experiment) -> keras.Model:
    """With weights that make different boxes and scores of different images."""
    keras.utils.set_random_seed(1)
    model = chosen.task.build(num_classes=len(NAMES), training=False)
    random = np.random.default_rng(5)
    for layer, spread in (("boxes_conv", 1.5), ("classes_conv", 1.5)):
        kernel, bias = model.get_layer(layer).get_weights()
        scale = spread / np.sqrt(kernel.shape[2])
        model.get_layer(layer).set_weights(
            [random.normal(0, scale, kernel.shape), random.normal(0, 0.5, bias.shape)]
        )
    return model


def images(count: int, side: int = 32) -> np.ndarray:
    random = np.random.default_rng(8)
    cells = random.uniform(-60, 315, (count, 4, 4, 3))
    return np.kron(cells, np.ones((1, side // 4, side // 4, 1))).clip(0, 255).round()


def decoded(encodings: np.ndarray, facts: detector.Detector) -> np.ndarray:
    """Boxes `[..., A, 4]` of encodings, not clipped."""
    y, x, height, width = np.moveaxis(facts.centers.astype(np.float64), -1, 0)
    ty, tx, th, tw = np.moveaxis(encodings / np.array(facts.scales), -1, 0)
    y, x = ty * height + y, tx * width + x
    height, width = np.exp(th) * height / 2, np.exp(tw) * width / 2
    return np.stack([y - height, x - width, y + height, x + width], axis=-1)


def found(boxes: np.ndarray, scores: np.ndarray, facts: detector.Detector):
    """Rows (box, class, score) of one image: greedy, class by class, the surest first.

    Args:
        boxes: `[A, 4]`.
        scores: `[A, K]`.
    """
    rows = []
    for number, column in enumerate(scores.T):
        kept: list[int] = []
        for anchor in np.argsort(-column, kind="stable"):
            free = all(
                _iou(boxes[anchor], boxes[k]) <= facts.iou_threshold for k in kept
            )
            if column[anchor] >= facts.score_threshold and free:
                kept.append(int(anchor))
        rows += [(boxes[k], number, column[k]) for k in kept[: facts.per_class]]
    return sorted(rows, key=lambda row: -row[2])[: facts.total]


def _iou(a, b):
    inner = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    both = np.prod(inner.clip(0))
    return both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both)
